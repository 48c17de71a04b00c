package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// sshConfig is what the person of this story has in ~/.ssh/config.
const sshConfig = "Host *\n  ServerAliveInterval 30\n"

func (s *stage) story() {
	config := filepath.Join(s.world.Home(), ".ssh", "config")
	s.must(os.WriteFile(config, []byte(sshConfig), 0o600))
	mine := s.vm("10.211.55.37")
	other := s.vm("10.211.55.38")

	s.says("a Mac that knows no VM, and a Debian VM that answers SSH at 10.211.55.37")
	s.types("mpd-virt list", 0)
	s.types("mpd-virt setup 150 --backend=general --ip=10.211.55.37 --username=dev", 0)
	s.expects("the VM has its address", mine != nil && mine.Addr() == netip.MustParseAddr("10.211.55.150"))
	s.expects("each script ran once", mine != nil && slices.Equal(mine.Steps(), []string{
		mpdvirttest.StepSudo, mpdvirttest.StepClone, mpdvirttest.StepNetworking, mpdvirttest.StepInstall,
		mpdvirttest.StepBuild, mpdvirttest.StepWireGuard, mpdvirttest.StepSetup}))

	s.says("the tunnel mpd-150 is imported and turned on in WireGuard")
	s.world.Tunnel(mine)
	s.types("mpd-virt diag 150", 0)
	s.finds("150", "dns-identity", mpdvirt.OK, "mpd-150")

	s.says("a second VM, and its tunnel is turned on instead")
	s.types("mpd-virt setup 151 --backend=general --ip=10.211.55.38 --username=dev", 0)
	s.world.Tunnel(other)
	s.types("mpd-virt list", 0)
	s.types("mpd-virt diag 150", 0)
	s.finds("150", "dns-identity", mpdvirt.Fail, "mpd-151")

	s.says("both are removed from this Mac")
	s.types("mpd-virt delete 150 --yes", 0)
	s.types("mpd-virt delete 151 --yes", 0)

	s.clone()
	s.create()
	s.types("mpd-virt list --json", 0)
	after, err := os.ReadFile(config)
	s.must(err)
	s.expects("~/.ssh/config is what it was", string(after) == sshConfig)
	s.says("as expected: %s", "VMs adopted, proven, told apart, cloned, created and removed, and nothing left in ~/.ssh/config")
}

// clone is the life of a VM that Parallels makes.
func (s *stage) clone() {
	if s.err != nil {
		return
	}
	s.world.Tunnel(nil)
	s.says("Parallels Desktop is there as well, with the template mpd-template-trixie")
	p, err := s.world.AddParallels(mpdvirttest.ParallelsOptions{Settings: mpdvirttest.ParallelsSettings{Delay: haste}})
	if s.must(err); err != nil {
		return
	}
	template, err := p.AddTemplate("mpd-template-trixie", mpdvirttest.VMOptions{})
	s.must(err)
	s.types("mpd-virt clone 160 --backend=parallels --template=mpd-template-trixie --username=dev", 0)
	vm := p.VM("mpd-160")
	s.expects("the VM has a host key of its own", vm != nil && vm.HostKeyFingerprint() != template.HostKeyFingerprint())
	s.types("mpd-virt list", 0)
	s.types("mpd-virt stop 160", 0)
	s.types("mpd-virt list", 0)
	s.types("mpd-virt delete 160 --yes", 0)
	s.expects("the VM is gone, and the template is not", p.VM("mpd-160") == nil && p.VM("mpd-template-trixie") == template)
}

// create is the life of a VM that UTM makes from nothing.
func (s *stage) create() {
	if s.err != nil {
		return
	}
	s.says("UTM is there, too: it makes a VM from Debian's image")
	u, err := s.world.AddUTM(mpdvirttest.UTMOptions{})
	if s.must(err); err != nil {
		return
	}
	s.types("mpd-virt create 170 --backend=utm --username=dev", 0)
	vm := u.VM("mpd-170")
	s.expects("the VM is what its seed says", vm != nil && vm.Hostname() == "mpd-170" && vm.Addr() == netip.MustParseAddr("192.168.64.170"))
	s.types("mpd-virt list", 0)
	s.types("mpd-virt delete 170 --yes", 0)
	s.expects("the VM is gone", u.VM("mpd-170") == nil)
}

func (s *stage) vm(addr string) *mpdvirttest.VM {
	vm, err := s.world.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr(addr)})
	s.must(err)
	return vm
}

func (s *stage) must(err error) {
	if s.err == nil {
		s.err = err
	}
}
