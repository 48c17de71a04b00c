// Package structure holds no code, only a test: it reads the sources of the
// whole module and says where they break the rules by which the program is cut
// into packages, so that the rules hold after the next change too.
//
// Each rule is a subtest, and its finding says what the rule wants. Where a
// place has a good reason to be an exception, it stands with that reason in the
// lists of the test. Rules that the compiler, vet or staticcheck already keep
// are out of scope.
package structure
