package command

import (
	"errors"
	"syscall"
)

// Exec turns this process into the program argv with the environment env (nil
// is an empty one) and returns only if that fails. The program is looked for
// as New(env) does; a missing one is hypervisor.ErrToolMissing.
//
// Deferred calls do not run any more, and what is not written is lost: it is
// the last thing that a command does.
func Exec(argv, env []string) error {
	if len(argv) == 0 {
		return errors.New("run: no program given")
	}
	file, err := New(env).find(argv[0])
	if err != nil {
		return err
	}
	return startError(argv[0], file, syscall.Exec(file, argv, env))
}
