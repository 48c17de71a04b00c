package mpdvirt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// A plan ends with its context, at whatever it waits for, and leaves nothing
// behind: the bubble sees a goroutine that does not end.
func TestPlanEnds(t *testing.T) {
	for n := range 12 {
		bubble(t, fmt.Sprint("cancelled at its contact ", n), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var contacts atomic.Int32
			cut := func() {
				if int(contacts.Add(1)) == n {
					cancel()
				}
			}
			l := newLab(t, options{config: func(c *mpdvirt.Config) {
				dial, run := c.DialContext, c.Runner
				c.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					defer cut()
					return dial(ctx, network, address)
				}
				c.Runner = func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
					defer cut()
					return run(ctx, c)
				}
			}})
			before := l.tree()
			if _, err := l.Plan(ctx, adoption); ctx.Err() != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			l.wantTree(t, before)
		})
	}
	for _, after := range []time.Duration{time.Second, 20 * time.Second, 2 * time.Minute} {
		bubble(t, fmt.Sprint("a VM that hangs, after ", after), func(t *testing.T) {
			l := newLab(t, options{})
			l.vm.SetSudo(mpdvirttest.SudoHangs)
			before, start := l.tree(), time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			if _, err := l.Plan(ctx, adoption); err == nil || time.Since(start) > after+time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			l.wantTree(t, before)
		})
	}
	bubble(t, "cancelled while another run has the lock", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, os.Remove(l.path(".ssh/config")))
		lock, err := statefile.Acquire(t.Context(), l.path(".mpd-virt/.lock"), "setup", 0)
		check(t, err)
		defer lock.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = l.Plan(ctx, mpdvirt.DiagRequest{Octet: octet})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// Plans of one Manager may be made at the same time, and beside its verbs.
func TestPlansTogether(t *testing.T) {
	bubble(t, "plans and a setup", func(t *testing.T) {
		l, _ := pair(t, yes, mpdvirttest.Options{})
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				req := []mpdvirt.PlanRequest{alone, mpdvirt.UpdateRequest{Octet: octet}, mpdvirt.TrustRequest{Remove: true}}[i%3]
				if _, err := l.Plan(t.Context(), req); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := l.Setup(t.Context(), mpdvirt.SetupRequest{Octet: octet + 1, From: "push"}); err != nil && !errors.As(err, new(*mpdvirt.LockedError)) {
				t.Error(err)
			}
		})
		wg.Wait()
	})
	bubble(t, "twice the same", func(t *testing.T) {
		l, _ := pair(t, yes, mpdvirttest.Options{})
		for _, req := range []mpdvirt.PlanRequest{alone, mpdvirt.CARotateRequest{Yes: true}, mpdvirt.UninstallRequest{Force: true}} {
			var texts []string
			for range 3 {
				p, err := l.Plan(t.Context(), req)
				check(t, err)
				text, err := json.Marshal(p)
				check(t, err)
				texts = append(texts, string(text))
			}
			if texts[0] != texts[1] || texts[1] != texts[2] {
				t.Errorf("the plans differ: %s", strings.Join(texts, "\n"))
			}
		}
	})
}
