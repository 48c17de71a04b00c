package identity

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The model of a property list's reader, as strict as plutil -lint and more:
// what it accepts, Apple's parser accepts. A dictionary is a map[string]any, an
// array a []any, the leaves are string and int.

const (
	wantDecl    = `version="1.0" encoding="UTF-8"`
	wantDoctype = `DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"`
)

// parsePlist reads a property list in XML: the declaration, the document type
// and one element plist of version 1.0 that holds one value.
func parsePlist(data []byte) (any, error) {
	p := plistReader{xml.NewDecoder(strings.NewReader(string(data)))}
	if pi, ok := p.next().(xml.ProcInst); !ok || pi.Target != "xml" || string(pi.Inst) != wantDecl {
		return nil, errors.New("no XML declaration")
	}
	if d, ok := p.next().(xml.Directive); !ok || string(d) != wantDoctype {
		return nil, errors.New("not Apple's document type")
	}
	root, ok := p.next().(xml.StartElement)
	if !ok || root.Name.Local != "plist" || len(root.Attr) != 1 || root.Attr[0] != (xml.Attr{Name: xml.Name{Local: "version"}, Value: "1.0"}) {
		return nil, errors.New("no element plist of version 1.0")
	}
	v, err := p.value(p.next())
	if err != nil {
		return nil, err
	}
	if !ends(p.next(), "plist") || p.next() != io.EOF {
		return nil, errors.New("something behind the one value")
	}
	return v, nil
}

type plistReader struct{ d *xml.Decoder }

// next is the next token that is not blank space, or the error.
func (p plistReader) next() any {
	for {
		t, err := p.d.Token()
		if err != nil {
			return err
		}
		if text, ok := t.(xml.CharData); ok && strings.TrimSpace(string(text)) == "" {
			continue
		}
		return xml.CopyToken(t)
	}
}

func ends(token any, name string) bool {
	e, ok := token.(xml.EndElement)
	return ok && e.Name.Local == name && e.Name.Space == ""
}

// value reads the value that token begins.
func (p plistReader) value(token any) (any, error) {
	e, ok := token.(xml.StartElement)
	if !ok || len(e.Attr) > 0 || e.Name.Space != "" {
		return nil, fmt.Errorf("%v is no value", token)
	}
	switch e.Name.Local {
	case "dict":
		return p.dict()
	case "array":
		return p.array()
	case "string":
		return p.text("string")
	case "integer":
		s, err := p.text("integer")
		if err != nil {
			return nil, err
		}
		return strconv.Atoi(s)
	}
	return nil, fmt.Errorf("an element %s", e.Name.Local)
}

func (p plistReader) dict() (any, error) {
	d := map[string]any{}
	for {
		token := p.next()
		if ends(token, "dict") {
			return d, nil
		}
		if e, ok := token.(xml.StartElement); !ok || e.Name.Local != "key" || len(e.Attr) > 0 {
			return nil, fmt.Errorf("%v is no key", token)
		}
		key, err := p.text("key")
		if err != nil {
			return nil, err
		}
		if _, twice := d[key]; twice {
			return nil, fmt.Errorf("%s stands twice", key)
		}
		if d[key], err = p.value(p.next()); err != nil {
			return nil, err
		}
	}
}

func (p plistReader) array() (any, error) {
	a := []any{}
	for {
		token := p.next()
		if ends(token, "array") {
			return a, nil
		}
		v, err := p.value(token)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
}

// text reads up to the end of the element, blank space included.
func (p plistReader) text(element string) (string, error) {
	var s strings.Builder
	for {
		t, err := p.d.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.CharData:
			s.Write(t)
		case xml.EndElement:
			return s.String(), nil
		default:
			return "", fmt.Errorf("a %T inside of %s", t, element)
		}
	}
}
