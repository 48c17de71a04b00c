// Package apilist holds no code, only a test: it lists what strangers can import
// from this module, one exported identifier a line with its type, and compares
// that with docs/api. So a change of the API shows in the diff of the commit that
// makes it, and none is made by accident.
//
// After a change that is meant, "make api" writes the listings again.
//
// # Out of scope
//
// The listings say nothing of what a function does, and neither says whether a
// change breaks somebody: who reads the diff decides.
package apilist
