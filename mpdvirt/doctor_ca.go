package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// The questions about the CA and what comes from it.

// askIdentity wants CA, keys and confs to be whole.
func (d *doctor) askIdentity() Check {
	_, err := d.m.keys.CA()
	roots, _ := d.m.keys.Roots()
	switch {
	case len(roots) > 0 && !d.m.cfg.Now().Before(roots[0].NotAfter):
		return Check{Status: Warn, Summary: "the CA has expired, see ca-expiry"}
	case errors.Is(err, fs.ErrNotExist) && len(d.entries()) == 0:
		return Check{Status: OK, Summary: "there is no CA yet: the first setup makes it"}
	case err != nil:
		return found(err)
	}
	c := Check{}
	for _, e := range d.entries() {
		_, err := d.m.keys.Load(e.Octet)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.finding(Warn, e.Name()+": "+err.Error(), mpdVirt("setup", e.Octet.String()))
		case err != nil:
			wrong := found(err)
			c.finding(Fail, e.Name()+": "+wrong.Summary, wrong.Fixes...)
		}
	}
	if c.Status == "" {
		return Check{Status: OK, Summary: fmt.Sprintf("the CA and the keys of %s are whole", plural(len(d.entries()), "VM"))}
	}
	return c
}

// noCA says whether there is none yet, which is no finding.
func (d *doctor) noCA() bool {
	_, err := d.m.keys.CA()
	roots, _ := d.m.keys.Roots()
	return errors.Is(err, fs.ErrNotExist) && len(roots) == 0
}

const noCAYet = "not asked: there is no CA yet"

func (d *doctor) askTrusted(ctx context.Context) Check {
	if d.noCA() {
		return Check{Status: Skipped, Summary: noCAYet}
	}
	return onMac(d.examination, func() Check { return d.m.trustOf(ctx, d.mac) })
}

func (d *doctor) askExpires() Check {
	if d.noCA() {
		return Check{Status: Skipped, Summary: noCAYet}
	}
	return d.m.expiryOf()
}

// askRotation says whether an exchange of the CA is under way.
func (d *doctor) askRotation() Check {
	if d.noCA() {
		return Check{Status: Skipped, Summary: noCAYet}
	}
	previous, err := d.m.keys.Previous()
	switch {
	case err != nil:
		return found(err)
	case len(previous) == 0:
		return Check{Status: OK, Summary: "no exchange of the CA is under way"}
	}
	var names []string
	for _, ca := range previous {
		names = append(names, short(ca.SHA256()))
	}
	return Check{Status: Warn, Summary: "the CA was exchanged, and not every VM has the new one: still trusted is SHA-256 " + some(names),
		Fixes: []Fix{mpdVirt("ca", "rotate")}}
}
