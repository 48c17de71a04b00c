package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Bounds on the agent: what it has, it says at once; for a signature some ask
// a person for a fingerprint.
const (
	agentListLimit = 2 * time.Second
	agentSignLimit = time.Minute
)

// listAgent is the agent's keys. An agent that fails is a note, and one that
// hangs is not asked again.
func (i *Identities) listAgent(ctx context.Context, o *offer) keyList {
	if i.cfg.AgentSocket == "" || i.cfg.AgentSocket == "none" {
		return nil
	}
	i.mu.Lock()
	noAgent := i.noAgent
	i.mu.Unlock()
	if noAgent != "" {
		o.notes = append(o.notes, noAgent)
		return nil
	}
	var keys keyList
	began := time.Now()
	err := i.withAgent(ctx, agentListLimit, func(a agent.ExtendedAgent) error {
		listed, err := a.List()
		for _, l := range listed {
			if public, err := ssh.ParsePublicKey(l.Blob); err == nil {
				keys = append(keys, i.agentKey(public, l.Comment))
			}
		}
		return err
	})
	if err != nil {
		note := fmt.Sprintf("agent at %s: %v", i.show(i.cfg.AgentSocket), plainNetError(err))
		o.notes = append(o.notes, note)
		if time.Since(began) >= agentListLimit && ctx.Err() == nil {
			i.mu.Lock()
			i.noAgent = note
			i.mu.Unlock()
		}
	}
	return keys
}

func (i *Identities) agentKey(public ssh.PublicKey, comment string) *key {
	label := plaintext.Clean(comment)
	if label == "" || len(label) > 60 {
		label = ssh.FingerprintSHA256(public)
	}
	return &key{label: label + " in the agent", public: public, slow: true,
		sign: func(ctx context.Context, _ io.Reader, data []byte, algo string) (*ssh.Signature, error) {
			var sig *ssh.Signature
			err := i.withAgent(ctx, agentSignLimit, func(a agent.ExtendedAgent) (err error) {
				sig, err = a.SignWithFlags(public, data, agentFlags[algo])
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("the agent did not sign with %s: %w", label, plainNetError(err))
			}
			return sig, nil
		}}
}

var agentFlags = map[string]agent.SignatureFlags{
	ssh.KeyAlgoRSASHA256: agent.SignatureFlagRsaSha256,
	ssh.KeyAlgoRSASHA512: agent.SignatureFlagRsaSha512,
}

// withAgent gives f the agent for at most limit.
func (i *Identities) withAgent(ctx context.Context, limit time.Duration, f func(agent.ExtendedAgent) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dial := i.cfg.DialAgent
	if dial == nil {
		dial = func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	conn, err := dial(ctx, i.expand(i.cfg.AgentSocket))
	if err != nil {
		return err
	}
	defer conn.Close()
	// The agent's protocol has no way to give up but to hang up.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := f(agent.NewClient(conn)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

// plainNetError is err without the addresses, which the caller names.
func plainNetError(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer")
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
