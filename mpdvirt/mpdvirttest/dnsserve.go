package mpdvirttest

import (
	"net"

	"github.com/miekg/dns"
)

// startServers listens at the addresses of the name server and the portal for the
// VM whose tunnel is up.
func (w *World) startServers() error {
	packets, err := w.net.ListenPacket(nameServerAddr)
	if err != nil {
		return err
	}
	streams, err := w.net.Listen(nameServerAddr)
	if err != nil {
		return err
	}
	pages, err := w.net.Listen(portalAddr())
	if err != nil {
		return err
	}
	w.net.SetUp(nameServerAddr.Addr(), true)
	w.net.SetUp(portalAddr().Addr(), true)
	w.wg.Go(func() {
		<-w.done
		packets.Close()
		streams.Close()
		pages.Close()
	})
	w.wg.Go(func() { w.servePackets(packets) })
	w.wg.Go(func() { w.serveStreams(streams, func(c net.Conn) { w.serveStream(&dns.Conn{Conn: c}) }) })
	w.wg.Go(func() { w.serveStreams(pages, w.servePortal) })
	return nil
}

func (w *World) servePackets(c net.PacketConn) {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		query := new(dns.Msg)
		v := w.behind(nameServerAddr.Addr())
		if v == nil || query.Unpack(buf[:n]) != nil {
			continue
		}
		if reply := v.answer(query, true); reply != nil {
			c.WriteTo(reply, from) // a lost packet is lost
		}
	}
}

// serveStreams serves each connection until it ends, the world does, or serve
// returns.
func (w *World) serveStreams(l net.Listener, serve func(c net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		w.wg.Go(func() {
			stop := make(chan struct{})
			defer close(stop)
			w.wg.Go(func() {
				select {
				case <-w.done:
				case <-stop:
				}
				c.Close()
			})
			serve(c)
		})
	}
}

func (w *World) serveStream(c *dns.Conn) {
	for {
		query, err := c.ReadMsg()
		if err != nil {
			return
		}
		v := w.behind(nameServerAddr.Addr())
		if v == nil {
			continue
		}
		if reply := v.answer(query, false); reply != nil {
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	}
}
