package influx

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// doer carries the library's requests: it follows no redirect, bounds what an answer may make us read, and takes 204 alone for success.
type doer struct {
	client *http.Client
	open   sync.WaitGroup // request bodies the transport still reads
}

func newDoer(conf *tls.Config, timeout time.Duration) *doer {
	return &doer{client: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			TLSClientConfig:     conf,
			MaxIdleConns:        2,
			IdleConnTimeout:     90 * time.Second,
			WriteBufferSize:     32 << 10,
			ForceAttemptHTTP2:   false,
		},
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			if next.Body != nil { // of 307 and 308: made for a request that is not sent, and closed by nobody else
				next.Body.Close()
			}
			return http.ErrUseLastResponse
		},
	}}
}

const userAgent = "stirwatch"

// maxAnswer bounds the text of an error.
const maxAnswer = 16 << 10

// oddAnswer is a success that InfluxDB does not give for a write.
type oddAnswer struct {
	status, text string
}

func (e *oddAnswer) Error() string {
	return fmt.Sprintf("the answer is %s where InfluxDB says 204, so that nothing counts as stored; it begins with %.80q", e.status, e.text)
}

// moved is a redirect. It is not followed: what a server was not named for does not get the token.
type moved struct {
	status, to string // to is empty where the server does not say
}

func (e *moved) Error() string {
	if e.to == "" {
		return fmt.Sprintf("the server redirects without saying where to (%s): correct influxdb.url", e.status)
	}
	return fmt.Sprintf("the server redirects to %s (%s): if InfluxDB is there, make that influxdb.url", e.to, e.status)
}

// newMoved names the address as influxdb.url would have it.
func newMoved(resp *http.Response) *moved {
	to, err := resp.Location()
	if err != nil {
		return &moved{status: resp.Status}
	}
	base := *to
	base.Path, base.RawPath, base.RawQuery, base.Fragment = strings.TrimSuffix(strings.TrimSuffix(to.Path, "/api/v2/write"), "/"), "", "", ""
	return &moved{resp.Status, base.Redacted()}
}

// Do implements the library's Doer.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", userAgent)
	if req.Body != nil {
		req.Body = d.track(req.Body)
		if again := req.GetBody; again != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				b, err := again()
				if err != nil {
					return nil, err
				}
				return d.track(b), nil
			}
		}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 3 {
		resp.Body.Close()
		return nil, newMoved(resp)
	}
	if resp.StatusCode/100 == 2 && resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		resp.Body.Close()
		return nil, &oddAnswer{resp.Status, string(text)}
	}
	resp.Body = &limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// tracked tells the doer when the transport has closed it.
type tracked struct {
	io.ReadCloser
	once sync.Once
	open *sync.WaitGroup
}

func (d *doer) track(b io.ReadCloser) io.ReadCloser {
	d.open.Add(1)
	return &tracked{ReadCloser: b, open: &d.open}
}

func (t *tracked) Close() error {
	err := t.ReadCloser.Close()
	t.once.Do(t.open.Done)
	return err
}
