package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// This file says where a broker is, and by which certificates it is known.

// brokerURL checks a broker's address and fills in what is usual.
func brokerURL(broker string) (*url.URL, error) {
	u, err := url.Parse(broker)
	if err != nil {
		return nil, fmt.Errorf("broker %q: %w", broker, err)
	}
	port := "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
		u.Scheme = "tcp"
	case "tls", "ssl", "mqtts", "tcps":
		u.Scheme, port = "tls", "8883"
	default:
		return nil, fmt.Errorf("broker %q: use tcp://host:1883 or tls://host:8883", broker)
	}
	if u.User != nil {
		return nil, fmt.Errorf("broker %s: give the user and the password by themselves, not in the address", u.Redacted())
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("broker %q: use tcp://host:1883 or tls://host:8883", broker)
	}
	u.Path = ""
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// LoadTLS makes a configuration from PEM files: the authorities that sign brokers (ca; "" for
// the system's) and the certificate by which the broker knows us (cert and key; "" for none).
func LoadTLS(ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("TLS authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("TLS authorities: no certificate in %s: a PEM file is expected", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("TLS: a client certificate needs its key, and the other way round")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("TLS client certificate %s with key %s: %w", cert, key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
