package cli

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// documented are the schemas in docs/schema and the Go types behind them.
var documented = map[string]any{
	"backend-1.json":   backendDefault{},
	"backends.json":    []mpdvirt.BackendInfo{},
	"ca-rotate-1.json": mpdvirt.CARotateResult{},
	"ca.json":          mpdvirt.CATrust{},
	"delete-1.json":    mpdvirt.DeleteResult{},
	"entry.json":       mpdvirt.VM{},
	"event-1.json":     mpdvirt.Event{},
	"help-1.json":      helpText{},
	"list.json":        []mpdvirt.VM{},
	"plan-1.json":      mpdvirt.Plan{},
	"report-1.json":    mpdvirt.Report{},
	"setup-1.json":     mpdvirt.SetupResult{},
	"ssh-1.json":       sshCommand{},
	"status.json":      mpdvirt.Status(""),
	"stop-1.json":      stopped{},
	"trust-1.json":     mpdvirt.TrustResult{},
	"uninstall-1.json": mpdvirt.UninstallResult{},
	"version-1.json":   Build{},
	"vm-1.json":        mpdvirt.ShowResult{},
}

// The schemas name the fields that the types have, and say of the right ones
// that they are always there.
func TestSchemasAreTheTypes(t *testing.T) {
	s := readSchemas(t, schemaDir)
	for file := range s.files {
		if documented[file] == nil {
			t.Errorf("docs/schema/%s is of no type", file)
		}
	}
	for file, of := range documented {
		if name, ok := strings.CutSuffix(file, "-1.json"); ok {
			properties, _ := s.files[file]["properties"].(map[string]any)
			if want := map[string]any{"const": "mpd-virt/" + name + "/1"}; !reflect.DeepEqual(properties["schema"], want) {
				t.Errorf("%s: the schema is %v, want %v", file, properties["schema"], want)
			}
		}
		for _, wrong := range s.compare(file, s.files[file], reflect.TypeOf(of), "") {
			t.Errorf("docs/schema/%s: %s", file, wrong)
		}
	}
	for file, schema := range map[string]string{
		"setup-1": mpdvirt.SetupSchema, "report-1": mpdvirt.ReportSchema, "delete-1": mpdvirt.DeleteSchema, "vm-1": mpdvirt.ShowSchema,
		"trust-1": mpdvirt.TrustSchema, "ca-rotate-1": mpdvirt.CARotateSchema, "uninstall-1": mpdvirt.UninstallSchema,
		"event-1": mpdvirt.EventSchema, "plan-1": mpdvirt.PlanSchema, "ssh-1": sshSchema, "help-1": helpSchema, "version-1": versionSchema, "backend-1": backendSchema, "stop-1": stopSchema,
	} {
		if want := "mpd-virt/" + strings.ReplaceAll(file, "-1", "/1"); schema != want {
			t.Errorf("a schema is called %s, want %s", schema, want)
		}
	}
}

// compare is how a schema differs from a Go type.
func (s *schemas) compare(file string, schema map[string]any, of reflect.Type, at string) (wrong []string) {
	if ref, ok := schema["$ref"].(string); ok {
		file, schema = s.resolve(file, ref)
	}
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	want := ""
	switch {
	case of == reflect.TypeFor[time.Time](), of == reflect.TypeFor[netip.Addr](), of.Kind() == reflect.String:
		want = "string"
	case of.Kind() == reflect.Bool:
		want = "boolean"
	case of.Kind() == reflect.Slice:
		want = "array"
		items, _ := schema["items"].(map[string]any)
		wrong = append(wrong, s.compare(file, items, of.Elem(), at+"[]")...)
	case of.Kind() == reflect.Map:
		want = "object"
		items, _ := schema["additionalProperties"].(map[string]any)
		wrong = append(wrong, s.compare(file, items, of.Elem(), at+".*")...)
	case of.Kind() == reflect.Struct:
		want = "object"
		wrong = append(wrong, s.compareFields(file, schema, of, at)...)
	default:
		want = "integer"
	}
	if enum, _ := schema["enum"].([]any); len(enum) > 0 || schema["const"] != nil {
		return wrong // of words
	}
	if schema["type"] != want {
		wrong = append(wrong, at+": the type is "+want)
	}
	return wrong
}

func (s *schemas) compareFields(file string, schema map[string]any, of reflect.Type, at string) (wrong []string) {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(of) {
		name, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && !tagged && name == "" {
			continue // its fields are visited, too
		}
		seen[name] = true
		property, ok := properties[name].(map[string]any)
		if !ok {
			wrong = append(wrong, at+"."+name+" is missing")
			continue
		}
		if always := !strings.HasPrefix(options, "omit"); always != slices.Contains(required, any(name)) {
			wrong = append(wrong, at+"."+name+": it is always there, or it is not required")
		}
		wrong = append(wrong, s.compare(file, property, f.Type, at+"."+name)...)
	}
	for name := range properties {
		if !seen[name] {
			wrong = append(wrong, at+"."+name+" is of no field")
		}
	}
	return wrong
}

// What the verbs print is what the schemas say.
func TestSchemasAreTheOutput(t *testing.T) {
	s := readSchemas(t, schemaDir)
	w := newSharedWorld(t, mpdvirttest.VMOptions{})
	p, err := w.AddParallels(mpdvirttest.ParallelsOptions{Settings: mpdvirttest.ParallelsSettings{Delay: 0.005}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AddTemplate("mpd-template-trixie", mpdvirttest.VMOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddUTM(mpdvirttest.UTMOptions{}); err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(t.TempDir(), "events")
	prints := func(file string, code int, args ...string) {
		t.Helper()
		args = append(args, "--json")
		if v, _, err := findVerb(args); err != nil || !v.noEvents {
			args = append(args, "--events="+events)
		}
		got := runIn(t, w.inWorld(args...))
		if got.code != code {
			t.Errorf("%q: exit %d, want %d\n%s", args, got.code, code, got.stderr)
		}
		for _, wrong := range s.check(file, []byte(got.stdout)) {
			t.Errorf("%q: %s\n%s", args, wrong, got.stdout)
		}
	}
	plans := func(args ...string) {
		t.Helper()
		prints("plan-1.json", 0, append(args, "--dry-run")...)
	}
	prints("list.json", 0, "list")
	plans(setupLine...)
	prints("setup-1.json", 0, setupLine...)
	plans("clone", "160", "--template=mpd-template-trixie", "--backend=parallels", "--username=dev")
	plans("create", "170", "--backend=utm", "--username=dev")
	prints("setup-1.json", 0, "clone", "160", "--template=mpd-template-trixie", "--backend=parallels", "--username=dev")
	prints("setup-1.json", 0, "create", "170", "--backend=utm", "--username=dev")
	prints("setup-1.json", 0, "update", "150")
	prints("vm-1.json", 0, "show", "150")
	prints("ssh-1.json", 0, "ssh", "150")
	prints("vm-1.json", 0, "show", "160")
	for _, args := range [][]string{
		{"setup", "150", "--from=push"}, {"update", "150"}, {"stop", "160"}, {"start", "160"}, {"diag", "150"}, {"delete", "160"},
		{"trust"}, {"trust", "--remove"}, {"ca", "rotate"}, {"backend", "set-default", "utm"}, {"uninstall", "--force"},
	} {
		plans(args...)
	}
	prints("stop-1.json", 0, "stop", "160")
	prints("report-1.json", 0, "start", "160")
	prints("report-1.json", 0, "diag", "150")
	w.Tunnel(nil)
	w.vm.PowerOff()
	prints("report-1.json", 3, "diag", "150")
	prints("report-1.json", 0, "doctor")
	broken := filepath.Join(w.Home(), ".mpd-virt/152/env")
	if err := os.MkdirAll(filepath.Dir(broken), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, []byte("MPD_VM_IP=no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	prints("list.json", 0, "list")
	if err := os.RemoveAll(filepath.Dir(broken)); err != nil {
		t.Fatal(err)
	}
	prints("ca-rotate-1.json", 1, "ca", "rotate", "--yes") // a VM is off, and there is nobody to type a password
	prints("backend-1.json", 0, "backend", "set-default", "general")
	prints("backends.json", 0, "backend", "list")
	prints("delete-1.json", 0, "delete", "160", "--yes")
	prints("delete-1.json", 0, "delete", "150", "--yes")
	prints("delete-1.json", 0, "delete", "170", "--yes")
	s.trust(t, w)
	prints("uninstall-1.json", 0, "uninstall", "--yes")
	prints("version-1.json", 0, "version")
	prints("help-1.json", 0, "help")
	prints("help-1.json", 0, "help", "backend")

	data, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		for _, wrong := range s.check("event-1.json", []byte(line)) {
			t.Errorf("%s in %s", wrong, line)
		}
	}
}

// trust checks what needs somebody who types a password.
func (s *schemas) trust(t *testing.T, w *sharedWorld) {
	t.Helper()
	cfg := w.Config()
	cfg.Prompter = typist{}
	for _, req := range []mpdvirt.TrustRequest{{Yes: true}, {Yes: true, Remove: true}} {
		m, err := mpdvirt.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		res, err := m.Trust(t.Context(), req)
		if err != nil {
			t.Errorf("%+v: %v", req, err)
			continue
		}
		text, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range s.check("trust-1.json", text) {
			t.Errorf("%s\n%s", wrong, text)
		}
	}
}

// typist is somebody at the terminal, whom nothing is asked but by sudo.
type typist struct{ mpdvirt.Prompter }

// docs/json.md leads to every schema.
func TestSchemasAreFound(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for file := range documented {
		if !strings.Contains(string(text), "](schema/"+file+")") {
			t.Errorf("docs/json.md does not link to schema/%s", file)
		}
	}
}
