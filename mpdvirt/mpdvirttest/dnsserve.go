package mpdvirttest

import (
	"net"

	"github.com/miekg/dns"
)

// startDNS listens at the name server's address for the VM whose tunnel is up.
func (w *World) startDNS() error {
	packets, err := w.net.ListenPacket(nameServerAddr)
	if err != nil {
		return err
	}
	streams, err := w.net.Listen(nameServerAddr)
	if err != nil {
		return err
	}
	w.net.SetUp(nameServerAddr.Addr(), true)
	w.wg.Go(func() {
		<-w.done
		packets.Close()
		streams.Close()
	})
	w.wg.Go(func() { w.servePackets(packets) })
	w.wg.Go(func() { w.serveStreams(streams) })
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
		v := w.linked()
		if v == nil || query.Unpack(buf[:n]) != nil {
			continue
		}
		if reply := v.answer(query, true); reply != nil {
			c.WriteTo(reply, from) // a lost packet is lost
		}
	}
}

func (w *World) serveStreams(l net.Listener) {
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
			w.serveStream(&dns.Conn{Conn: c})
		})
	}
}

func (w *World) serveStream(c *dns.Conn) {
	for {
		query, err := c.ReadMsg()
		if err != nil {
			return
		}
		v := w.linked()
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
