package prlemu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// column is a field of the brief list: lower case, unlike those of -i. C
type column struct{ key, head string }

// columns are the default fields, in the order in which they are printed. C
func columns() []column {
	return []column{{"uuid", "UUID"}, {"status", "STATUS"}, {"ip_configured", "IP_ADDR"}, {"name", "NAME"}}
}

// chosen are the fields of -o, which may be called ip for short (A); bad is the
// first that is unknown.
func (l listing) chosen() (fields []column, bad string) {
	all := columns()
	if l.fields == nil {
		return all, ""
	}
	for _, name := range l.fields {
		i := slices.IndexFunc(all, func(f column) bool { return f.key == name || f.key == "ip_configured" && name == "ip" })
		if i < 0 {
			return nil, name
		}
		fields = append(fields, all[i])
	}
	return fields, ""
}

// brief is the JSON of "list" without -i. C (S: an empty list is not an empty
// output)
func (c *call) brief(out *bytes.Buffer, l listing, vms []VM) error {
	fields, bad := l.chosen()
	if bad != "" {
		return c.usage("Unknown field " + bad)
	}
	if len(vms) == 0 {
		out.WriteString("[\n\n]\n")
		return nil
	}
	out.WriteString("[")
	for i, v := range vms {
		out.WriteString(map[bool]string{true: "\n\t{", false: ",\n\t{"}[i == 0])
		for j, f := range fields {
			fmt.Fprintf(out, "%s\n\t\t\"%s\": %s", map[bool]string{true: "", false: ","}[j == 0], f.key, quote(c.field(f.key, v, l.full)))
		}
		out.WriteString("\n\t}")
	}
	out.WriteString("\n]\n")
	return nil
}

// field is one value of the brief list. The address is "-" for all VMs unless
// -f is given. C
func (c *call) field(key string, v VM, full bool) string {
	switch key {
	case "uuid":
		return c.id(v)
	case "status":
		return v.State
	case "name":
		return v.Name
	}
	if !full {
		return "-"
	}
	return c.e.configured(v, c.set)
}

func (c *call) id(v VM) string {
	if c.set.UpperUUIDs {
		return strings.ToUpper(v.UUID)
	}
	return v.UUID
}

// plain is the list for people: the UUID in braces, 38 characters padded to
// 39. C
func (c *call) plain(out *bytes.Buffer, l listing, vms []VM) error {
	fields, bad := l.chosen()
	if bad != "" {
		return c.usage("Unknown field " + bad)
	}
	width := map[string]int{"uuid": 40, "status": 13, "ip_configured": 16}
	line := func(value func(f column) string) {
		var text strings.Builder
		for _, f := range fields {
			fmt.Fprintf(&text, "%-*s", width[f.key], value(f))
		}
		out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	if !l.noHeader {
		line(func(f column) string { return f.head })
	}
	for _, v := range vms {
		line(func(f column) string {
			if f.key == "uuid" {
				return "{" + c.id(v) + "} "
			}
			return c.field(f.key, v, l.full)
		})
	}
	return nil
}

// quote writes a string as prlctl does: slashes are escaped. C
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "/", `\/`)
}
