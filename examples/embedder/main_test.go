package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// All that the SDK does beyond the process goes through what it was given, and
// no connection outlives the verbs.
func TestRun(t *testing.T) {
	var out, messages bytes.Buffer
	if err := run(t.Context(), &out, &messages); err != nil {
		t.Fatalf("%v\n%s", err, messages.String())
	}
	for _, want := range []string{"dialled tcp 10.211.55.37:22\n", "dialled tcp 10.211.55.150:22\n", "started ping\n", "started ssh\n", "\n0 connections are open\n"} {
		if !strings.Contains("\n"+out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, want := range []string{"answer=false", "answer=true"} {
		if !strings.Contains(messages.String(), want) {
			t.Errorf("no %q in\n%s", want, messages.String())
		}
	}
	if strings.Contains(messages.String(), "PRIVATE KEY") {
		t.Error("the log holds a key")
	}
}

func TestChoose(t *testing.T) {
	actions := func(ids ...string) (out []mpdvirt.Action) {
		for _, id := range ids {
			out = append(out, mpdvirt.Action{ID: id})
		}
		return out
	}
	all := actions(mpdvirt.ActionAgain, mpdvirt.ActionRun, mpdvirt.ActionSkip, mpdvirt.ActionQuit)
	tests := []struct {
		name     string
		commands []string
		actions  []mpdvirt.Action
		want     string // "": declined
	}{
		{"may run", []string{"open /tmp/x", "open /tmp/y"}, all, mpdvirt.ActionRun},
		{"needs root", []string{"open /tmp/x", "sudo route add"}, all, mpdvirt.ActionSkip},
		{"not quite the word", []string{"opens x"}, all, mpdvirt.ActionSkip},
		{"no command", nil, all, mpdvirt.ActionSkip},
		{"no skipping", nil, actions(mpdvirt.ActionAgain, mpdvirt.ActionQuit), mpdvirt.ActionQuit},
		{"only for people", nil, actions(mpdvirt.ActionAgain), ""},
	}
	p := &policy{log: slog.New(slog.NewTextHandler(io.Discard, nil)), commands: []string{"open"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.Choose(t.Context(), mpdvirt.Question{Commands: tt.commands, Actions: tt.actions})
			if got != tt.want || (tt.want == "") != errors.Is(err, mpdvirt.ErrDeclined) {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestOtherAnswers(t *testing.T) {
	p := &policy{log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := p.Pause(t.Context(), "do", "it"); !errors.Is(err, mpdvirt.ErrDeclined) {
		t.Errorf("Pause = %v", err)
	}
	if _, err := p.Passphrase(t.Context(), "key"); !errors.Is(err, mpdvirt.ErrDeclined) {
		t.Errorf("Passphrase = %v", err)
	}
	if yes, err := p.Confirm(t.Context(), ""); yes || err != nil {
		t.Errorf("Confirm = %t, %v", yes, err)
	}
	p.passphrase = func(string) ([]byte, error) { return []byte("x"), nil }
	if b, err := p.Passphrase(t.Context(), "key"); string(b) != "x" || err != nil {
		t.Errorf("Passphrase = %q, %v", b, err)
	}
}
