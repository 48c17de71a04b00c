package identity

import (
	"time"
)

// Rotation is where the exchange of the CA stands.
type Rotation struct {
	CA       *CA   // the current one, which every VM shall get
	Made     bool  // this call put it in its place; else an earlier one did
	Previous []*CA // those before it, still to be trusted; oldest first
}

// Rotate makes a new CA: the same name and limits, another key. The one before
// it is kept as a certificate, for the Mac to trust until every VM has the new
// one; [Store.Retire] then removes it. While one is kept, the rotation is under
// way and Rotate makes no other: it returns what there is, so that a caller who
// was stopped calls it again and goes on. An exception is a current CA that has
// expired by itself, which is of no use to any VM.
//
// The old private key is destroyed, as far as the file system forgets what is
// replaced: the Mac signs nothing, and each VM signs with the key that was
// pushed to it until it gets the new one. So there is no way back to the old CA,
// and none is needed: what it signed stays valid while it is trusted.
//
// A call that failed or was killed leaves the old CA as it was, or a new one
// that the next call, or Ensure, completes. Nothing is lost in between: the old
// certificate is on the disk before the old key goes. Where no CA is, the error
// wraps fs.ErrNotExist; damage is a *FileError and is not repaired; so is a CA
// from the future, because a wrong clock would make the new one wrong as well.
//
// Which CA a VM has is not known here; it is asked for the fingerprint of its
// rootCA.pem. The caller holds the lock for shared files.
func (s *Store) Rotate() (*Rotation, error) {
	a, err := s.readAnyTime()
	if err != nil {
		return nil, err
	}
	previous, err := s.previous(a)
	if err != nil {
		return nil, err
	}
	r := &Rotation{Previous: previous}
	switch now := s.now(); {
	case a.key == nil:
		return nil, missing(s.caKeyFile())
	case a.cert == nil && len(previous) == 0:
		return nil, missing(s.CACertFile())
	case a.cert == nil: // the key is new, its certificate was not written
		err = s.newCertificate(r, &a, now)
	case now.Before(a.cert.NotBefore):
		return nil, clockFault(s.CACertFile(), "%v", checkClock(a.cert, now))
	case len(previous) == 0 || now.After(a.cert.NotAfter):
		err = s.replace(r, &a, now)
	}
	if err != nil {
		return nil, err
	}
	r.CA = newCA(s.CACertFile(), a.cert, a.certPEM)
	return r, nil
}

// replace puts a new CA in the place of a. The order of its writes is what
// makes every prefix of them a state from which Rotate goes on: first the old
// certificate is safe, then the old key is replaced, then the new certificate
// follows from the new key.
func (s *Store) replace(r *Rotation, a *authority, now time.Time) error {
	if err := s.rotationDirs(); err != nil {
		return err
	}
	old := newCA(s.previousFile(fingerprint(a.cert)), a.cert, a.certPEM)
	if err := s.write(old.File, old.Cert, publicMode); err != nil {
		return err
	}
	r.Previous = append(r.Previous, old)
	var err error
	if a.key, a.keyPEM, err = newCAKey(); err != nil {
		return err
	}
	if err := s.write(s.caKeyFile(), a.keyPEM, secretMode); err != nil {
		return err
	}
	return s.newCertificate(r, a, now)
}

// newCertificate completes a rotation of which the key is there.
func (s *Store) newCertificate(r *Rotation, a *authority, now time.Time) error {
	if err := s.rotationDirs(); err != nil {
		return err
	}
	var err error
	if a.cert, a.certPEM, err = newCACert(a.key, now); err != nil {
		return err
	}
	r.Made = true
	return s.write(s.CACertFile(), a.certPEM, publicMode)
}

// rotationDirs makes the folders that a rotation writes to and takes away what
// a killed writer left in them, which may be a key.
func (s *Store) rotationDirs() error {
	for _, dir := range []string{s.dir, s.caDir(), s.previousDir()} {
		if err := s.files.EnsureDir(dir); err != nil {
			return err
		}
		if err := s.files.RemoveTemps(dir); err != nil {
			return err
		}
	}
	return nil
}
