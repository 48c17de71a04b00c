package parallels

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// CanClone costs six processes at most. Besides what the interface says, the
// error is a *hypervisor.ValueError for a name that no template can have and
// for a disk smaller than the template's, and ErrAmbiguous for two templates of
// one name.
//
// The canonical address counts as taken if a VM that runs tells it; one that is
// off cannot be asked.
func (b *Backend) CanClone(ctx context.Context, spec hypervisor.CloneSpec) error {
	if _, err := b.source(ctx, spec); err != nil {
		return fmt.Errorf("clone %s: %w", spec.Octet.VMName(), err)
	}
	return nil
}

// source is the template of a clone that can be made. Its sizes are read only
// if the spec has any.
func (b *Backend) source(ctx context.Context, spec hypervisor.CloneSpec) (detail, error) {
	if err := checkTemplate(spec.Template); err != nil {
		return detail{}, err
	}
	if err := b.Available(ctx); err != nil {
		return detail{}, err
	}
	vms, err := b.inventory(ctx, true)
	if err != nil {
		return detail{}, err
	}
	templates, err := b.templates(ctx)
	if err != nil {
		return detail{}, err
	}
	if err := free(vms, templates, spec.Octet); err != nil {
		return detail{}, err
	}
	t, err := pick(vms, templates, spec.Template)
	if err != nil || spec.RAM == 0 && spec.Disk == 0 {
		return detail{vm: t}, err
	}
	d, err := b.described(ctx, argvTemplateDetail(t.uuid), t.uuid)
	if err != nil {
		return detail{}, err
	}
	return d, fits(d, spec.Disk)
}

// checkTemplate refuses names that cannot be given on a command line or shown.
// Parallels itself allows nearly everything.
func checkTemplate(name string) error {
	if name == "" || len(name) > 255 || name[0] == '-' || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return &hypervisor.ValueError{Kind: "template", Text: name, Rule: "the name of a template, at most 255 bytes, no control characters, not starting with '-'"}
	}
	return nil
}

// free is ErrTaken if a VM or template has the name or the address of octet.
func free(vms, templates []vm, o hypervisor.Octet) error {
	name, addr := o.VMName(), o.In(gateway())
	for _, v := range vms {
		if strings.EqualFold(v.name, name) {
			return fmt.Errorf("the name %s is %w: %s, which is %s", name, hypervisor.ErrTaken, v, v.state)
		}
	}
	for _, t := range templates {
		if strings.EqualFold(t.name, name) {
			return fmt.Errorf("the name %s is %w: it is that of the template %s", name, hypervisor.ErrTaken, t)
		}
	}
	for _, v := range vms {
		if slices.Contains(v.addrs, addr) {
			return fmt.Errorf("the address %v is %w: %s", addr, hypervisor.ErrTaken, v)
		}
	}
	return nil
}

// pick is the template of that name.
func pick(vms, templates []vm, name string) (vm, error) {
	found := which(templates, func(t vm) bool { return t.name == name })
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return vm{}, noTemplate(vms, templates, name)
	}
	return vm{}, fmt.Errorf("template %q: %w: %s", name, hypervisor.ErrAmbiguous, each(found))
}

// noTemplate lists the templates that there are.
func noTemplate(vms, templates []vm, name string) error {
	names := make([]string, len(templates))
	for i, t := range templates {
		names[i] = plaintext.Short(t.name)
	}
	slices.Sort(names)
	there := "there are none"
	if len(names) > 0 {
		there = "there are: " + strings.Join(names, ", ")
	}
	err := fmt.Errorf("%w: %q; %s", hypervisor.ErrNoTemplate, name, there)
	if same := which(vms, func(v vm) bool { return v.name == name }); len(same) > 0 {
		return hint.Wrap(err, fmt.Sprintf("%s is a VM; to make it a template:\nprlctl set %s --template on", same[0], same[0].uuid))
	}
	return err
}

// fits refuses a disk that would have to shrink.
func fits(t detail, want hypervisor.Size) error {
	switch {
	case want == 0 || want >= t.disk && t.disk > 0:
		return nil
	case t.disk == 0:
		return fmt.Errorf("the size of the disk of the template %s is not told", t.vm)
	}
	return &hypervisor.ValueError{Kind: "size", Text: want.String(),
		Rule: fmt.Sprintf("the disk of the template %q has %v, and disks can only grow", plaintext.Short(t.name), t.disk)}
}
