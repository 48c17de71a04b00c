package macos

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// AdminTrusted returns the SHA-1 fingerprints of the certificates about which
// the administrator's trust settings say something, be it that they are never
// trusted, sorted. Such a record may outlive its certificate, so this proves
// that a removal was complete. None is no error.
//
// dir is an existing folder, private to the user, below which a temporary
// folder is made and removed: security exports into a file only.
func (m *Mac) AdminTrusted(ctx context.Context, dir string) (sha1 []string, err error) {
	const what = "security trust-settings-export"
	tmp, err := os.MkdirTemp(dir, "trust-*")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer func() {
		if rmErr := os.RemoveAll(tmp); err == nil && rmErr != nil {
			sha1, err = nil, fmt.Errorf("%s: %w", what, rmErr)
		}
	}()
	file := filepath.Join(tmp, "settings.plist")
	res, err := m.ask(ctx, securityTool, "trust-settings-export", "-d", file)
	switch {
	case err != nil:
		return nil, err
	case res.Status == 1 && has(res, "No Trust Settings were found"):
		return nil, nil
	case res.Status != 0:
		return nil, strange(what, res)
	}
	data, err := readSome(file)
	if err != nil {
		return nil, unclear(what, "exit status 0, but: %v", err)
	}
	return parseTrustSettings(what, data)
}

// maxFile is more than any file has that is read here.
const maxFile = 4 << 20

// readSome reads a regular file of at most maxFile bytes.
func readSome(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", file, maxFile)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

var sha1Key = regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)

// parseTrustSettings reads the keys of the dictionary trustList in the
// property list {trustVersion, trustList: {SHA-1: {…}}}. Keys that are no
// fingerprints are macOS's own, such as the defaults for all roots.
func parseTrustSettings(what string, data []byte) ([]string, error) {
	p := settings{dec: xml.NewDecoder(bytes.NewReader(data))}
	for {
		token, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, unclear(what, "%v", err)
		}
		if p.take(token); len(p.path) > maxDepth {
			p.wrong = true
			break
		}
	}
	if p.lists != 1 || p.wrong {
		return nil, unclear(what, "not the property list of trust settings")
	}
	slices.Sort(p.sha1)
	return slices.Compact(p.sha1), nil
}

// maxDepth is deeper than trust settings go.
const maxDepth = 32

// settings is a walk through a property list.
type settings struct {
	dec    *xml.Decoder
	path   []string // the open elements
	text   string   // of the open key
	key    string   // the last key of the outer dictionary
	inList bool
	lists  int // trustList dictionaries seen
	wrong  bool
	sha1   []string
}

func (p *settings) take(token xml.Token) {
	switch t := token.(type) {
	case xml.StartElement:
		if len(p.path) == 0 && t.Name.Local != "plist" {
			p.wrong = true
		}
		p.path = append(p.path, t.Name.Local)
		p.text = ""
		if p.at("plist/dict/dict") && p.key == "trustList" {
			p.inList = true
			p.lists++
		}
	case xml.CharData:
		p.text += string(t)
	case xml.EndElement:
		switch {
		case p.at("plist/dict/key"):
			p.key = p.text
		case p.at("plist/dict/dict/key") && p.inList && sha1Key.MatchString(p.text):
			p.sha1 = append(p.sha1, strings.ToUpper(p.text))
		case p.at("plist/dict/dict"):
			p.inList = false
		}
		p.path = p.path[:len(p.path)-1]
		p.text = ""
	}
}

func (p *settings) at(path string) bool { return strings.Join(p.path, "/") == path }
