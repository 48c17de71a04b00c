package macemu

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A property list is a map[string]any, []any, string, int64, bool, []byte or, for
// dates, date. The reader is strict: what macOS would refuse or guess at is an
// error.
type date string

const maxDepth = 32

var errPlist = errors.New("macemu: not a property list in XML")

func notPlist(why string) error { return fmt.Errorf("%w: %s", errPlist, why) }

// parsePlist reads a property list in XML.
func parsePlist(data []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	root, err := nextElement(d)
	if err != nil {
		return nil, err
	}
	if root == nil || root.Name.Local != "plist" {
		return nil, notPlist("no plist element")
	}
	first, err := nextElement(d)
	if err != nil {
		return nil, err
	}
	if first == nil {
		return nil, notPlist("nothing in it")
	}
	value, err := plistValue(d, *first, maxDepth)
	if err != nil {
		return nil, err
	}
	if more, err := nextElement(d); err != nil || more != nil {
		return nil, errors.Join(err, notPlist("more than one value"))
	}
	if _, err := nextElement(d); !errors.Is(err, io.EOF) {
		return nil, notPlist("text behind its end")
	}
	return value, nil
}

// nextElement is the next that starts; nil is the end of the one around it. Text
// between elements must be blank.
func nextElement(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPlist, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, notPlist("text between elements")
			}
		}
	}
}

// plistText is the text of an element that has no others in it.
func plistText(d *xml.Decoder) (string, error) {
	var b strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return "", fmt.Errorf("%w: %w", errPlist, err)
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.EndElement:
			return b.String(), nil
		case xml.StartElement:
			return "", notPlist("an element inside of a text")
		}
	}
}

func plistValue(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	switch start.Name.Local {
	case "dict":
		return plistDict(d, depth)
	case "array":
		return plistArray(d, depth)
	}
	text, err := plistText(d)
	if err != nil {
		return nil, err
	}
	switch start.Name.Local {
	case "string":
		return text, nil
	case "integer":
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, notPlist("an integer that is none")
		}
		return n, nil
	case "true", "false":
		if text != "" {
			return nil, notPlist("a truth value with a text")
		}
		return start.Name.Local == "true", nil
	case "data":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, notPlist("data that are not in base64")
		}
		return b, nil
	case "date":
		return date(text), nil
	}
	return nil, notPlist("element " + strconv.QuoteToASCII(start.Name.Local))
}

func plistArray(d *xml.Decoder, depth int) (any, error) {
	if depth == 0 {
		return nil, notPlist("too deep")
	}
	out := []any{}
	for {
		item, err := nextElement(d)
		if err != nil || item == nil {
			return out, err
		}
		value, err := plistValue(d, *item, depth-1)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
}

func plistDict(d *xml.Decoder, depth int) (any, error) {
	if depth == 0 {
		return nil, notPlist("too deep")
	}
	out := map[string]any{}
	for {
		name, err := nextElement(d)
		if err != nil || name == nil {
			return out, err
		}
		if name.Name.Local != "key" {
			return nil, notPlist("a value without a key")
		}
		key, err := plistText(d)
		if err != nil {
			return nil, err
		}
		item, err := nextElement(d)
		if err != nil {
			return nil, err
		}
		if _, twice := out[key]; twice || item == nil {
			return nil, notPlist("a key that stands twice or has no value")
		}
		if out[key], err = plistValue(d, *item, depth-1); err != nil {
			return nil, err
		}
	}
}
