package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"stirwatch/agent/anomaly"
)

// Webhook posts JSON to a web address.
type Webhook struct {
	URL           string // no error repeats it: with most chats it is a password
	Authorization string // header; "": none
	Full          bool   // the whole message, else {"text": …}, which chats take
	TLS           *tls.Config
}

// Send implements [Sender].
func (h *Webhook) Send(ctx context.Context, m *Message) error {
	var body any = struct {
		Text string `json:"text"`
	}{"*" + m.Title + "*\n" + m.Text}
	if h.Full {
		body = m
	}
	return post(ctx, h.TLS, h.URL, h.Authorization, m.ID, body)
}

// Ntfy publishes to a topic of an ntfy server (docs.ntfy.sh/publish, "publish as JSON").
type Ntfy struct {
	Server, Topic, Token string
	TLS                  *tls.Config
}

// Send implements [Sender].
func (n *Ntfy) Send(ctx context.Context, m *Message) error {
	auth := ""
	if n.Token != "" {
		auth = "Bearer " + n.Token
	}
	return post(ctx, n.TLS, strings.TrimSuffix(n.Server, "/")+"/", auth, m.ID, struct {
		Topic    string `json:"topic"`
		Title    string `json:"title"`
		Message  string `json:"message"`
		Priority int    `json:"priority"` // 5 the most urgent, 3 ordinary
	}{n.Topic, m.Title, m.Text, 5 - int(m.Priority-anomaly.High)})
}

// post sends body as JSON; any answer but success is an error with the beginning of what it says.
func post(ctx context.Context, t *tls.Config, to, authorization, id string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(b))
	if err != nil {
		return errors.New("the address cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	req.Header.Set("User-Agent", "stirwatch")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	transport := &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true} // messages are rare
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Do(req)
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // without the address
	}
	if err != nil {
		return err
	}
	defer r.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(r.Body, 200))
	if r.StatusCode/100 == 2 {
		return nil
	}
	err = errors.New(strings.TrimSpace("it answers " + r.Status + " " + strings.Join(strings.Fields(string(said)), " ")))
	if r.StatusCode/100 == 3 {
		err = fmt.Errorf("%w: the address has moved, give the new one", err)
	}
	if s, bad := strconv.Atoi(r.Header.Get("Retry-After")); bad == nil && s > 0 {
		err = later{err, time.Duration(min(s, 86400)) * time.Second}
	}
	return err
}
