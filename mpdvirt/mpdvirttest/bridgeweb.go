package mpdvirttest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// serveFetch carries one request. A body that breaks off ends the connection
// early, which the other side sees by its length.
func (w *World) serveFetch(ctx context.Context, c net.Conn, req bridgeRequest) {
	r, err := http.NewRequestWithContext(ctx, req.Method, req.Address, nil)
	var resp *http.Response
	if err == nil {
		r.Header = req.Header
		resp, err = w.Transport().RoundTrip(r)
	}
	if err != nil {
		writeLine(c, bridgeReply{Err: failOf(err)})
		return
	}
	defer resp.Body.Close()
	if writeLine(c, bridgeReply{Status: resp.StatusCode, Header: resp.Header, Length: resp.ContentLength}) == nil {
		io.Copy(c, resp.Body) // either way the connection is over
	}
}

// RoundTrip answers as http.RoundTripper says. A request's body is dropped: no
// server of a world takes one.
func (r remote) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	ctx, cancel := context.WithCancel(req.Context())
	conn, in, reply, err := r.open(ctx, bridgeRequest{Op: opFetch, Method: req.Method, Address: req.URL.String(), Header: req.Header})
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	left := reply.Length
	if req.Method == http.MethodHead {
		left = 0
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", reply.Status, http.StatusText(reply.Status)), StatusCode: reply.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: reply.Header, ContentLength: reply.Length, Request: req,
		Body: &farBody{ctx: req.Context(), cancel: cancel, in: in, left: left},
	}, nil
}

// farBody is the content of an answer in the world's process.
type farBody struct {
	ctx    context.Context // the request's
	cancel func()          // closes the connection
	in     *bufio.Reader
	left   int64
}

// Read is io.Reader's.
func (b *farBody) Read(to []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.in.Read(to[:min(int64(len(to)), b.left)])
	b.left -= int64(n)
	switch {
	case b.ctx.Err() != nil:
		err = b.ctx.Err()
	case err == io.EOF && b.left > 0:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close is io.Closer's; a Read that waits ends.
func (b *farBody) Close() error {
	b.cancel()
	return nil
}
