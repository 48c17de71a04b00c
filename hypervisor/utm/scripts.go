package utm

// The scripts. Each is ASCII, because AppleScript reads other bytes in the
// encoding of the Mac's language, and gets its values as arguments: item 1 is a
// word for logs, the rest are values.
//
// Lists come back as a word, a line end, and records: fields with U+001F
// between, U+001E at the end of each record. UTM's names can hold anything that
// a person can type, line ends included.

// scriptRunning asks UTM for something if it runs, and does not start it.
const scriptRunning = `on run argv
	if application id "com.utmapp.UTM" is running then
		tell application id "com.utmapp.UTM" to count virtual machines
		return "yes"
	end if
	return "no"
end run
`

const scriptList = `on run argv
	set unitSep to character id 31
	set recordSep to character id 30
	set out to "vms" & linefeed
	tell application id "com.utmapp.UTM"
		repeat with vm in (get virtual machines)
			set out to out & (id of vm) & unitSep & ((status of vm) as text) & unitSep & (name of vm) & recordSep
		end repeat
	end tell
	return out
end run
`

const scriptStart = `on run argv
	set vmId to item 2 of argv
	with timeout of 110 seconds
		tell application id "com.utmapp.UTM" to start (virtual machine id vmId)
	end timeout
	return ""
end run
`

const scriptSuspend = `on run argv
	set vmId to item 2 of argv
	with timeout of 110 seconds
		tell application id "com.utmapp.UTM" to suspend (virtual machine id vmId) saving true
	end timeout
	return ""
end run
`

// scriptKill and scriptRequest say how: a stop without it cuts the power.
const scriptKill = `on run argv
	set vmId to item 2 of argv
	tell application id "com.utmapp.UTM" to stop (virtual machine id vmId) by kill
	return ""
end run
`

const scriptRequest = `on run argv
	set vmId to item 2 of argv
	tell application id "com.utmapp.UTM" to stop (virtual machine id vmId) by request
	return ""
end run
`

const scriptDelete = `on run argv
	set vmId to item 2 of argv
	tell application id "com.utmapp.UTM" to delete (virtual machine id vmId)
	return ""
end run
`

// scriptMake copies the disk and the seed into the new VM: a list of drives
// replaces UTM's own, and the first is the one that boots. The seed is a virtio
// disk, and no removable one, because Debian's cloud kernel has no USB. The card
// and the interfaces are named since their defaults differ by architecture.
// POSIX file stands outside of the tell block, where it is AppleScript's own.
const scriptMake = `on run argv
	set vmName to item 2 of argv
	set vmArch to item 3 of argv
	set vmMemory to (item 4 of argv) as integer
	set vmCores to (item 5 of argv) as integer
	set vmAddress to item 6 of argv
	set diskFile to POSIX file (item 7 of argv)
	set seedFile to POSIX file (item 8 of argv)
	with timeout of 1740 seconds
		tell application id "com.utmapp.UTM"
			set diskDrive to {interface:VirtIO, source:diskFile}
			set seedDrive to {interface:VirtIO, source:seedFile}
			set nic to {hardware:"virtio-net-pci", mode:shared, address:vmAddress}
			set balloonFlag to {argument string:"-device"}
			set balloon to {argument string:"virtio-balloon-pci,free-page-reporting=on"}
			set config to {name:vmName, architecture:vmArch, memory:vmMemory, cpu cores:vmCores, hypervisor:true, uefi:true, drives:{diskDrive, seedDrive}, network interfaces:{nic}, displays:{}, qemu additional arguments:{balloonFlag, balloon}}
			return make new virtual machine with properties {backend:qemu, configuration:config}
		end tell
	end timeout
end run
`

const scriptDrives = `on run argv
	set vmId to item 2 of argv
	set unitSep to character id 31
	set recordSep to character id 30
	set out to "drives" & linefeed
	tell application id "com.utmapp.UTM"
		set config to configuration of (virtual machine id vmId)
		repeat with d in (drives of config)
			set out to out & (id of d) & unitSep & ((removable of d) as text) & unitSep & ((host size of d) as text) & recordSep
		end repeat
	end tell
	return out
end run
`

// scriptDetach writes the list of drives back without one of them, which deletes
// that drive's file. It compares the list with the arguments first: a drive that
// was added meanwhile would be deleted, too. Of the configuration only the drives
// are written: what is absent stays as it is.
const scriptDetach = `on run argv
	set vmId to item 2 of argv
	set unwanted to item 3 of argv
	set keepIds to items 4 thru -1 of argv
	set keepDrives to {}
	set foundUnwanted to false
	tell application id "com.utmapp.UTM"
		set vm to virtual machine id vmId
		set config to configuration of vm
		repeat with d in (drives of config)
			set driveId to (id of d) as text
			if driveId is unwanted then
				set foundUnwanted to true
			else if keepIds contains driveId then
				set end of keepDrives to contents of d
			else
				error "The drives are not those that were read." number 9001
			end if
		end repeat
		if not foundUnwanted or (length of keepDrives) is not (length of keepIds) then
			error "The drives are not those that were read." number 9001
		end if
		update configuration vm with {drives:keepDrives}
	end tell
	return ""
end run
`
