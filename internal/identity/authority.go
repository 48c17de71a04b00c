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
	key, err := read(s.caKeyFile())
	if err != nil {
		return authority{}, err
	}
	cert, err := read(s.CACertFile())
	if err != nil {
		return authority{}, err
	}
	return s.parseAuthority(key, cert)
}

// parseAuthority is readAuthority on the content of the files, nil for a file
// that is not there. On error the result is zero.
func (s *Store) parseAuthority(key, cert []byte) (authority, error) {
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
	if err := checkClock(a.cert, s.now()); err != nil {
		return authority{}, clockFault(s.CACertFile(), "%v", err)
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return authority{}, caFault(s.CACertFile(), "is not the certificate of the key in %s", s.caKeyFile())
	}
	return a, nil
}
