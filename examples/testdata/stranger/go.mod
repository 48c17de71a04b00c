module example.org/stranger

go 1.26.0

require github.com/mutms/mpd-virt-macos v0.0.0

replace github.com/mutms/mpd-virt-macos => ../../..
