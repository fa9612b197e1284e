package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/url"
	"strings"
	"time"

	"stirwatch/agent/anomaly"
)

// Mail sends through an SMTP server.
type Mail struct {
	Server             string // smtp://host:port or smtps://host:port
	From               string
	To                 []string
	Username, Password string
	TLS                *tls.Config // nil: the system's authorities
}

// Send implements [Sender]. Without encryption no password is sent, but to this computer itself.
func (m *Mail) Send(ctx context.Context, msg *Message) error {
	u, err := url.Parse(m.Server)
	if err != nil || u.Hostname() == "" {
		return errors.New("the server's address cannot be read")
	}
	secure := m.TLS.Clone()
	if secure == nil {
		secure = &tls.Config{}
	}
	if secure.ServerName == "" {
		secure.ServerName = u.Hostname()
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })() // whatever it waits for
	if u.Scheme == "smtps" {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, u.Hostname())
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok && u.Scheme == "smtp" {
		if err := c.StartTLS(secure); err != nil {
			return err
		}
	}
	if m.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", m.Username, m.Password, u.Hostname())); err != nil {
			return fmt.Errorf("signing in: %w", err)
		}
	}
	if err := c.Mail(m.From); err != nil {
		return fmt.Errorf("sender %s: %w", m.From, err)
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return fmt.Errorf("recipient %s: %w", to, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err = w.Write(m.letter(msg)); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // only now it is taken
		return err
	}
	c.Quit()
	return nil
}

// letter is the message as RFC 5322 has it.
func (m *Mail) letter(msg *Message) []byte {
	var b strings.Builder
	header := func(name, value string) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
	}
	_, host, _ := strings.Cut(m.From, "@")
	header("From", m.From)
	header("To", strings.Join(m.To, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", msg.Title))
	header("Date", time.Now().Format(time.RFC1123Z))
	header("Message-ID", "<"+msg.ID+"@"+host+">")
	header("Auto-Submitted", "auto-generated")
	if msg.Priority == anomaly.High {
		header("Importance", "high")
		header("X-Priority", "1")
	}
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(msg.Text + "\n"))
	w.Close()
	return []byte(b.String())
}
