package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
)

// authority is the CA as it is on disk. A half that is not there is nil.
type authority struct {
	key             *ecdsa.PrivateKey
	cert            *x509.Certificate
	keyPEM, certPEM []byte
}

// readAuthority reads and checks the CA. It may be missing as a whole, and the
// certificate alone may be missing; the key alone may not.
func (s *Store) readAuthority() (authority, error) {
	a, err := s.readAnyTime()
	if err != nil {
		return authority{}, err
	}
	return s.checkTime(a)
}

// readAnyTime is readAuthority without a look at the clock.
func (s *Store) readAnyTime() (authority, error) {
	key, err := s.read(s.caKeyFile())
	if err != nil {
		return authority{}, err
	}
	cert, err := s.read(s.CACertFile())
	if err != nil {
		return authority{}, err
	}
	if s.outdated(key, cert) {
		cert = nil
	}
	return s.parseAnyTime(key, cert)
}

// outdated says whether cert belongs to the CA that the one of key replaces: a
// rotation was killed after it wrote the new key. Such a certificate counts as
// missing, and is completed from the key like any other. It is known by its
// copy, which a rotation makes before it touches the key; without one, two
// halves that do not fit are damage.
func (s *Store) outdated(key, cert []byte) bool {
	k, _, err := parseCAKey(key)
	if err != nil {
		return false
	}
	c, _, err := parseCACert(cert)
	if err != nil || k.PublicKey.Equal(c.PublicKey) {
		return false
	}
	_, err = s.keptCA(fingerprint(c))
	return err == nil
}

// parseAuthority is readAuthority on the content of the files, nil for a file
// that is not there. On error the result is zero.
func (s *Store) parseAuthority(key, cert []byte) (authority, error) {
	a, err := s.parseAnyTime(key, cert)
	if err != nil {
		return authority{}, err
	}
	return s.checkTime(a)
}

// checkTime returns a, if it is valid now.
func (s *Store) checkTime(a authority) (authority, error) {
	if a.cert == nil {
		return a, nil
	}
	if err := checkClock(a.cert, s.now()); err != nil {
		return authority{}, clockFault(s.CACertFile(), "%v", err)
	}
	return a, nil
}

func (s *Store) parseAnyTime(key, cert []byte) (authority, error) {
	var a authority
	var err error
	if key == nil && cert == nil {
		return authority{}, nil
	}
	if key == nil {
		return authority{}, caFault(s.caKeyFile(), "is missing, although its certificate %s is there", s.CACertFile())
	}
	if a.key, a.keyPEM, err = parseCAKey(key); err != nil {
		return authority{}, caFault(s.caKeyFile(), "%v", err)
	}
	if cert == nil {
		return a, nil
	}
	if a.cert, a.certPEM, err = parseCACert(cert); err != nil {
		return authority{}, caFault(s.CACertFile(), "%v", err)
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return authority{}, caFault(s.CACertFile(), "is not the certificate of the key in %s", s.caKeyFile())
	}
	return a, nil
}
