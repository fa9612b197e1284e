package dashboard

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// Certificate serves with a certificate and key out of PEM files, and with new ones once these have changed: no restart is
// needed where a certificate is renewed. It fails where they cannot be read now.
func Certificate(cert, key string) (*tls.Config, error) {
	c := &certificate{cert: cert, key: key}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

type certificate struct {
	cert, key string

	mu     sync.Mutex
	stamps [2]time.Time
	now    *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stamps [2]time.Time
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = info.ModTime()
		}
	}
	if c.now != nil && stamps == c.stamps {
		return c.now, nil
	}
	next, err := tls.LoadX509KeyPair(c.cert, c.key)
	switch {
	case err == nil:
		c.now, c.stamps = &next, stamps
	case c.now == nil:
		return nil, err
	} // one that is just being replaced: the last goes on, and it is looked again
	return c.now, nil
}
