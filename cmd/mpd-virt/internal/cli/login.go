package cli

import (
	"os/user"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// loginName is the name of the account that runs this process.
func loginName() (string, error) {
	account, err := user.Current()
	if err != nil {
		return "", err
	}
	return account.Username, nil
}

// userOr is the account that was given, else the one that runs the command.
// One that a VM cannot have must be given.
func (a *app) userOr(given mpdvirt.User, verb string) (mpdvirt.User, error) {
	if given != "" {
		return given, nil
	}
	next := "mpd-virt help " + verb
	name, err := a.env.Login()
	if err != nil {
		return "", usage(next, "%s: --username is missing, and your login name is not known: %v", verb, err)
	}
	u, err := mpdvirt.ParseUser(name)
	if err != nil {
		return "", usage(next, "%s: --username is missing, and your login name will not do: %v", verb, err)
	}
	return u, nil
}
