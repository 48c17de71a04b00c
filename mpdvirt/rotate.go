package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
)

// CARotateRequest says how CARotate goes about it.
type CARotateRequest struct {
	Yes bool // do not ask; sudo and macOS want their passwords all the same
}

// CARotateSchema is the value of CARotateResult.Schema for the layout of this
// version.
const CARotateSchema = "mpd-virt/ca-rotate/1"

// CARotateResult is how far the exchange of the CA is.
type CARotateResult struct {
	Schema string  `json:"schema"`
	CA     CATrust `json:"ca"`   // the new one
	Made   bool    `json:"made"` // this call made it; else an earlier one did
	// Done: every registered VM has the new CA, this Mac trusts it, and those
	// before it are gone.
	Done bool `json:"done"`
	// VMs are those that are registered, in the order of their octets, and those
	// that another run is about to register.
	VMs []CAMove `json:"vms"`
	// Left is what is left to do on this Mac; for people, one thing each.
	Left []string `json:"left,omitempty"`
}

// CAMove is how one VM came by the new CA.
type CAMove struct {
	Octet  Octet        `json:"octet"`
	Name   string       `json:"name"`
	Status CAMoveStatus `json:"status"`
	Why    string       `json:"why,omitempty"`  // for people: why it was not moved, or what is wrong besides
	Next   string       `json:"next,omitempty"` // for people: what mends that; may have several lines
	Log    string       `json:"log,omitempty"`  // path of the log of its setup
}

// CAMoveStatus says whether a VM has the new CA.
type CAMoveStatus string

// The statuses.
const (
	CAMoved       CAMoveStatus = "moved"       // it has the new CA, and mpd --setup has run with it
	CAUnreachable CAMoveStatus = "unreachable" // it is off, or nobody answers
	CABusy        CAMoveStatus = "busy"        // another run works on it
	CAFailed      CAMoveStatus = "failed"      // anything else; CAMove.Why says what
)

// IDs of the steps of CARotate.
const (
	StepCA     = "ca"     // the new CA
	StepTrust  = "trust"  // this Mac trusts it
	StepVMs    = "vms"    // the VMs get it; each is a step within this one, by its name
	StepRetire = "retire" // this Mac forgets the CA before it
)

// CARotate makes a new CA and brings it wherever the old one is: it makes this
// Mac trust it, as Trust does, and runs Setup on every registered VM that
// answers, several at a time, which pushes the new CA and runs mpd --setup again.
// The old CA stays trusted until every registered VM has the new one; then its
// trust and its certificate are removed.
//
// If anything is left to do the error says what, and the result has it in
// detail. The next call goes on there, with the same CA; only when nothing is
// left, the one after that makes another CA. So does a call after one that was
// killed anywhere. VMs that are busy, off or cannot be reached are left as they
// are; Setup gives them the new CA as well, whenever it is run.
//
// Without a Prompter the request must say Yes, and what needs a password is left.
// Nobody is asked for the passphrase of an SSH key: it must be in the agent.
//
// The error wraps fs.ErrNotExist if there is no CA yet, and ErrDeclined if the
// person says no or nobody can be asked.
func (m *Manager) CARotate(ctx context.Context, req CARotateRequest) (*CARotateResult, error) {
	r := m.begin("ca rotate", 0)
	if err := m.confirmRotate(ctx, req); err != nil {
		return nil, r.fail(err)
	}
	var rotation *identity.Rotation
	err := r.step(StepCA, func() (string, error) {
		err := m.locked(ctx, r.verb, func() (err error) {
			if err = ctx.Err(); err == nil { // the lock was free
				rotation, err = m.keys.Rotate()
			}
			return err
		})
		if err != nil {
			return "", err
		}
		if rotation.Made {
			m.rehearsal.random(rotation.CA.Fingerprint[:8]+"…", standinCA)
		}
		return rotated(rotation), nil
	})
	if err != nil {
		return nil, r.fail(bare(err))
	}
	res := &CARotateResult{Schema: CARotateSchema, CA: trustIn(rotation.CA, true, macos.TrustUnclear), Made: rotation.Made, VMs: []CAMove{}}
	return res, r.fail(m.carry(ctx, r, req, rotation, res))
}

// confirmRotate asks before a new CA is made; to go on with a rotation that is
// under way is what the person has said already.
func (m *Manager) confirmRotate(ctx context.Context, req CARotateRequest) error {
	previous, err := m.keys.Previous()
	if err != nil || len(previous) > 0 || req.Yes {
		return err
	}
	if roots, err := m.keys.Roots(); err == nil && len(roots) == 0 {
		_, err = m.keys.CA()
		return err
	}
	if m.cfg.Prompter == nil {
		return hint.Wrap(fmt.Errorf("%w: nobody can be asked", ErrDeclined), "mpd-virt ca rotate --yes")
	}
	yes, err := m.cfg.Prompter.Confirm(ctx, "Make a new CA, which this Mac and every VM then have to get?")
	if err == nil && !yes {
		err = ErrDeclined
	}
	return err
}

func rotated(r *identity.Rotation) string {
	text := "goes on with " + r.CA.String()
	if r.Made {
		text = "made " + r.CA.String()
	}
	return text + "; the one before stays trusted until every VM has it"
}

// bare is a step's failure without the step, whose hint would be to go on with
// setup.
func bare(err error) error {
	if s := (*bootstrap.StepError)(nil); errors.As(err, &s) {
		return s.Err
	}
	return err
}

// carry brings the new CA everywhere. The error says what is left.
func (m *Manager) carry(ctx context.Context, r *run, req CARotateRequest, rotation *identity.Rotation, res *CARotateResult) error {
	onMac := m.trustNew(ctx, r, req, rotation, res)
	if err := ctx.Err(); err != nil {
		return err
	}
	err := r.step(StepVMs, func() (summary string, err error) {
		if res.VMs, err = m.moveAll(ctx, r); err != nil {
			return "", err
		}
		summary = moved(res.VMs)
		if slices.ContainsFunc(res.VMs, CAMove.left) {
			err = warning(summary)
		}
		return summary, err
	})
	switch {
	case err != nil:
		return bare(err)
	case slices.ContainsFunc(res.VMs, CAMove.left):
		return leftBehind(res.VMs)
	case onMac != nil:
		return hint.Wrap(fmt.Errorf("every VM has the new CA, but this Mac does not trust it yet: %w", onMac), rotateAgain(hint.Of(onMac)))
	}
	return m.retire(ctx, r, req, rotation, res)
}

// rotateAgain is the hint that ends with the same command.
func rotateAgain(first string) string {
	return strings.TrimPrefix(first+"\nmpd-virt ca rotate     (goes on)", "\n")
}

// trustNew makes this Mac trust the new CA. If it does not, the VMs get it all the
// same: what browsers say then is what they say to every CA that is not trusted.
func (m *Manager) trustNew(ctx context.Context, r *run, req CARotateRequest, rotation *identity.Rotation, res *CARotateResult) error {
	m.rehearsal.begin(StepTrust)
	start := m.cfg.Now()
	done := func(s Status, text string) {
		r.ended(StepResult{ID: StepTrust, Status: s, Summary: text, Elapsed: m.cfg.Now().Sub(start)})
	}
	trust, err := m.trust(ctx, r, rotation.CA, nil, req.Yes)
	if trust != nil && len(trust.CAs) > 0 {
		res.CA = trust.CAs[0]
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errors.ErrUnsupported):
		done(Skipped, "this is no Mac")
		return nil
	case err != nil:
		done(Warn, err.Error())
		res.Left = append(res.Left, fmt.Sprintf("trust %s: mpd-virt trust", rotation.CA))
	default:
		done(OK, "macOS trusts the new CA")
	}
	return err
}

// retire forgets the CAs before the new one, when nobody needs them any more.
func (m *Manager) retire(ctx context.Context, r *run, req CARotateRequest, rotation *identity.Rotation, res *CARotateResult) error {
	m.rehearsal.begin(StepRetire)
	if _, err := m.untrust(ctx, r, rotation.Previous, req.Yes); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		if ctx.Err() == nil {
			res.Left = append(res.Left, fmt.Sprintf("take the trust in %s away: mpd-virt ca rotate", rotation.Previous[0]))
			err = hint.Wrap(fmt.Errorf("every VM has the new CA, but the one before it is still on this Mac: %w", err), rotateAgain(hint.Of(err)))
		}
		return err
	}
	err := r.step(StepRetire, func() (string, error) {
		return "the CA before is gone", m.locked(ctx, r.verb, func() error {
			for _, c := range rotation.Previous {
				if err := m.keys.Retire(c.SHA256()); err != nil {
					return err
				}
			}
			return nil
		})
	})
	res.Done = err == nil
	return bare(err)
}
