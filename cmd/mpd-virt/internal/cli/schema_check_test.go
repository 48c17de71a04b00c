package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// schemas reads docs/schema and checks values by it: the part of JSON Schema
// 2020-12 that those files use, where a keyword that is not known is an error.
//
// It is stricter than the files are: a property that they do not name is an
// error, although they leave room for those that later versions add.
type schemas struct {
	dir   string
	files map[string]map[string]any
}

const schemaDir = "../../../../docs/schema"

func readSchemas(t *testing.T, dir string) *schemas {
	t.Helper()
	s := &schemas{dir: dir, files: map[string]map[string]any{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no schemas in %s: %v", dir, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(data, &schema); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.files[filepath.Base(name)] = schema
	}
	return s
}

// check is what is wrong with a JSON text by the schema in a file.
func (s *schemas) check(file string, text []byte) []string {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // times in nanoseconds are larger than a float64 is exact
	var v any
	if err := dec.Decode(&v); err != nil {
		return []string{err.Error()}
	}
	c := &checker{schemas: s}
	c.value(file, "", s.files[file], v)
	return c.wrong
}

type checker struct {
	*schemas
	wrong []string
}

func (c *checker) add(at, format string, args ...any) {
	c.wrong = append(c.wrong, at+": "+fmt.Sprintf(format, args...))
}

// resolve is the schema that a $ref in a file means, and the file that it is in.
func (s *schemas) resolve(file, ref string) (string, map[string]any) {
	name, inside, _ := strings.Cut(ref, "#/$defs/")
	if name != "" {
		file = name
	}
	schema := s.files[file]
	if inside != "" {
		defs, _ := schema["$defs"].(map[string]any)
		schema, _ = defs[inside].(map[string]any)
	}
	return file, schema
}

func (c *checker) value(file, at string, schema map[string]any, v any) {
	if schema == nil {
		c.add(at, "%s has no schema for it", file)
		return
	}
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		c.keyword(file, at, schema, keyword, v)
	}
}

func (c *checker) keyword(file, at string, schema map[string]any, keyword string, v any) {
	want := schema[keyword]
	object, isObject := v.(map[string]any)
	switch keyword {
	case "$schema", "$defs", "title", "description":
	case "$ref":
		to, target := c.resolve(file, want.(string))
		c.value(to, at, target, v)
	case "type":
		if got := jsonType(v); got != want {
			c.add(at, "is %s, not %s", got, want)
		}
	case "const":
		if !reflect.DeepEqual(v, want) {
			c.add(at, "is %v, not %v", v, want)
		}
	case "enum":
		if !slices.Contains(want.([]any), v) {
			c.add(at, "is %v, none of %v", v, want)
		}
	case "pattern":
		if text, ok := v.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
			c.add(at, "is %q, not like %s", text, want)
		}
	case "minimum", "maximum":
		c.bound(at, keyword, want.(float64), v)
	case "items":
		list, _ := v.([]any)
		for i, item := range list {
			c.value(file, fmt.Sprintf("%s[%d]", at, i), want.(map[string]any), item)
		}
	case "required":
		for _, name := range want.([]any) {
			if _, there := object[name.(string)]; isObject && !there {
				c.add(at, "%s is missing", name)
			}
		}
	case "properties":
		for name, item := range object {
			if property, ok := want.(map[string]any)[name].(map[string]any); ok {
				c.value(file, at+"."+name, property, item)
			} else if schema["additionalProperties"] == nil {
				c.add(at, "%s is not in the schema", name)
			}
		}
	case "additionalProperties":
		properties, _ := schema["properties"].(map[string]any)
		for name, item := range object {
			if properties[name] == nil {
				c.value(file, at+"."+name, want.(map[string]any), item)
			}
		}
	default:
		c.add(at, "this test knows no keyword %s", keyword)
	}
}

func (c *checker) bound(at, keyword string, limit float64, v any) {
	number, ok := v.(json.Number)
	if !ok {
		return
	}
	n, ok := new(big.Float).SetString(string(number))
	if sign := n.Cmp(big.NewFloat(limit)); !ok || keyword == "minimum" && sign < 0 || keyword == "maximum" && sign > 0 {
		c.add(at, "is %s, %s is %v", number, keyword, limit)
	}
}

func jsonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}

// The checker itself, by schemas written out.
func TestSchemaChecker(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json": `{"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":1,"maximum":9},"s":{"$ref":"b.json"},
			"l":{"type":"array","items":{"$ref":"#/$defs/yes"}},"m":{"type":"object","additionalProperties":{"type":"string"}},"e":{"enum":["x","y"]}},
			"$defs":{"yes":{"const":true}}}`,
		"b.json": `{"type":"string","pattern":"^a+$"}`,
		"c.json": `{"type":"object","not":{}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := readSchemas(t, dir)
	for text, wrong := range map[string]string{
		`{"n":1,"s":"aa","l":[true],"m":{"k":"v"},"e":"y"}`: "",
		`{"n":9}`:                  "",
		`{"n":10}`:                 ".n: is 10, maximum is 9",
		`{"n":0}`:                  ".n: is 0, minimum is 1",
		`{"n":1.5}`:                ".n: is number, not integer",
		`{}`:                       ": n is missing",
		`[]`:                       ": is array, not object",
		`null`:                     ": is null, not object",
		`{"n":1,"x":1}`:            ": x is not in the schema",
		`{"n":1,"s":"ab"}`:         `.s: is "ab", not like ^a+$`,
		`{"n":1,"s":null}`:         ".s: is null, not string",
		`{"n":1,"l":[true,false]}`: ".l[1]: is false, not true",
		`{"n":1,"m":{"k":1}}`:      ".m.k: is integer, not string",
		`{"n":1,"e":"z"}`:          ".e: is z, none of [x y]",
	} {
		if got := strings.Join(s.check("a.json", []byte(text)), "\n"); got != wrong {
			t.Errorf("%s: %q, want %q", text, got, wrong)
		}
	}
	if got := s.check("c.json", []byte("{}")); len(got) != 1 {
		t.Errorf("an unknown keyword: %q", got)
	}
	if got := s.check("no.json", []byte("{}")); len(got) != 1 {
		t.Errorf("a file that is not there: %q", got)
	}
}
