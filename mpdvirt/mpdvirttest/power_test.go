package mpdvirttest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// A VM that is off has no address, whoever has it by now.
func TestOffTouchesNobody(t *testing.T) {
	for name, do := range map[string]func(v *mpdvirttest.VM){
		"PowerOff":         (*mpdvirttest.VM).PowerOff,
		"Suspend":          (*mpdvirttest.VM).Suspend,
		"CutConnections":   (*mpdvirttest.VM).CutConnections,
		"ResetConnections": (*mpdvirttest.VM).ResetConnections,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, mpdvirttest.Options{})
				off := addVM(t, w, mpdvirttest.VMOptions{Off: true})
				c := login(t, w, addVM(t, w, mpdvirttest.VMOptions{}).Addr())
				do(off)
				answer := make(chan error, 1)
				go func() {
					_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
					answer <- err
				}()
				select {
				case err := <-answer:
					if err != nil {
						t.Errorf("the connection ended: %v", err)
					}
				case <-time.After(time.Minute):
					t.Error("the connection stands still")
					c.Close()
					<-answer
				}
			})
		})
	}
}

// A VM that was suspended while it was off comes up all the same.
func TestSuspendWhileOff(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	v := addVM(t, w, mpdvirttest.VMOptions{Off: true})
	v.Suspend()
	if err := v.PowerOn(); err != nil || !w.Reachable(v.Addr()) {
		t.Errorf("PowerOn = %v, and it is reached: %t", err, w.Reachable(v.Addr()))
	}
}
