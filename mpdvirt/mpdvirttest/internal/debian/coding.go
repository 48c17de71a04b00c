package debian

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

func sha256sum(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "b t c check quiet status")
	if !ok {
		return 1
	}
	if o.has("c") || o.has("check") {
		return p.checkSums(o)
	}
	return p.eachInput("sha256sum", o.rest, func(name string, data []byte) {
		p.Printf("%x  %s\n", sha256.Sum256(data), name)
	})
}

func (p *Process) checkSums(o options) int {
	bad := 0
	status := p.eachInput("sha256sum", o.rest, func(_ string, list []byte) {
		for _, line := range lines(list) {
			sum, name, _ := strings.Cut(line, " ")
			name = strings.TrimLeft(name, " *")
			data, err := p.readFile(name)
			verdict := "OK"
			if err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != sum {
				verdict = "FAILED"
				bad++
			}
			if !o.has("status") && !(o.has("quiet") && verdict == "OK") {
				p.Printf("%s: %s\n", name, verdict)
			}
		}
	})
	return max(status, min(bad, 1))
}

func encode64(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "d w= decode wrap= i")
	if !ok {
		return 1
	}
	status := 0
	return max(p.eachInput("base64", o.rest, func(_ string, data []byte) {
		if o.has("d") || o.has("decode") {
			clean := strings.Join(strings.Fields(string(data)), "")
			plain, err := base64.StdEncoding.DecodeString(clean)
			p.Stdout.Write(plain)
			if err != nil {
				status = p.Errorf("base64: invalid input")
			}
			return
		}
		width := 76
		if s := o.set["w"] + o.set["wrap"]; s != "" {
			width, _ = strconv.Atoi(s) // no number counts as 0, which is no wrapping
		}
		text := base64.StdEncoding.EncodeToString(data)
		for width > 0 && len(text) > width {
			p.Printf("%s\n", text[:width])
			text = text[width:]
		}
		p.Printf("%s", text)
		if width > 0 {
			p.Printf("\n")
		}
	}), status)
}
