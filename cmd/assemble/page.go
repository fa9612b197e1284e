package assemble

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/dashboard"
	"stirwatch/agent/doctor"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/config"
	"stirwatch/dynamics/report"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors/serialport"
)

// Users are those who may use the page of a configuration, which has one.
func Users(c *config.Config) *dashboard.Users { return dashboard.OpenUsers(c.Abs(c.Page.Users)) }

// pageTLS is nil where the page is served without encryption.
func pageTLS(c *config.Config) (*tls.Config, error) {
	t := c.Page.TLS
	if t == nil {
		return nil, nil
	}
	conf, err := dashboard.Certificate(c.Abs(t.Cert), c.Abs(t.Key))
	if err != nil {
		return nil, fmt.Errorf("page.tls: %w", err)
	}
	return conf, nil
}

// checkPage is the error that keeps the page of a configuration from being served.
func checkPage(c *config.Config) error {
	if c.Page == nil {
		return nil
	}
	if _, err := pageTLS(c); err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(c.Page.Listen); host != "localhost" && !net.ParseIP(host).IsLoopback() {
		if err := dashboard.Wide(Users(c)); err != nil {
			return fmt.Errorf("page.listen: %s: %w", c.Page.Listen, err)
		}
	}
	return nil
}

// page makes the page of the configuration, which has one.
func (c *Cell) page(version string) (*dashboard.Server, error) {
	p := c.conf.Page
	encrypted, err := pageTLS(c.conf)
	if err != nil {
		return nil, err
	}
	o := dashboard.Options{
		Listen: p.Listen, Users: c.conf.Abs(p.Users), TLS: encrypted, Machine: c.conf.Machine, Version: version, Agent: c.Agent, Journal: c.Journal, Registry: c.Registry,
		Models: c.models, Config: c.conf.Show, Socket: c.handler(version), Log: c.log,
	}
	o.Ports = func() ([]dashboard.Port, error) { return ports(c.conf) }
	o.Doctor = c.examine
	o.Report = func(ctx context.Context, w io.Writer, run journal.Run) error { return c.report(ctx, w, run, version) }
	return dashboard.New(o), nil
}

// examine runs the doctor's checks from inside the agent.
func (c *Cell) examine(ctx context.Context, found func(doctor.Finding)) {
	d, err := Doctor(c.conf, examinePatience, io.Discard)
	if err != nil {
		found(doctor.Finding{What: "channels", Text: err.Error()})
		return
	}
	d.Found = found
	d.Running = func(context.Context) ([]agent.SourceState, error) { return c.Agent.SourceStates(), nil }
	d.Bridge = nil // it is the agent's own; what is left under lease was reverted when it started
	d.Examine(ctx)
}

// examinePatience is how long what is examined from the page may take to answer.
const examinePatience = 5 * time.Second

// ports are the serial ports of this computer, with the source or bridge of the configuration that uses each.
func ports(conf *config.Config) ([]dashboard.Port, error) {
	found, err := serialport.Ports()
	if err != nil {
		return nil, err
	}
	used := map[string]string{}
	use := func(path config.Path, name string) {
		if real, err := filepath.EvalSymlinks(conf.Abs(path)); err == nil {
			used[real] = name
		}
	}
	for i := range conf.Sources {
		if s := &conf.Sources[i]; s.Serial != nil {
			use(s.Serial.Port, s.Name)
		}
	}
	if b := conf.Bridge; b != nil && b.Serial != nil {
		use(b.Serial.Port, "bridge")
	}
	var all []dashboard.Port
	for _, p := range found {
		port := dashboard.Port{Path: p.Path, ByID: p.ByID, Driver: p.Driver, Serial: p.Serial, Manufacturer: p.Manufacturer, Product: p.Product, Used: used[p.Path]}
		if p.VID != "" {
			port.USB = p.VID + ":" + p.PID
		}
		all = append(all, port)
	}
	return all, nil
}

// report writes what the model says of a run.
func (c *Cell) report(ctx context.Context, w io.Writer, run journal.Run, version string) error {
	m, _ := c.models.Current()
	if m == nil {
		return history.TellsNothing(errors.New("there is no model: learn one, or name one in agent.yaml"))
	}
	h := &history.History{Reader: c.Journal.Reader, Registry: c.Registry}
	read, err := h.Rows(ctx, run, m.Channels())
	if err != nil {
		return err
	}
	from, to, err := runs.ActiveRows(m, read)
	if err != nil {
		return history.TellsNothing(err)
	}
	written, err := c.Journal.Notes(run)
	if err != nil {
		return err
	}
	o := report.Options{Version: version}
	for _, n := range written {
		o.Notes = append(o.Notes, report.Note{When: time.Unix(0, n.At).UTC().Format("2006-01-02 15:04 UTC"), Who: n.Who, Text: n.Text})
	}
	made, err := report.Make(m, []report.Run{{Run: *read, From: from, To: to}}, o)
	if err != nil { // it has been read well, and there is nothing in it that could be shown
		return history.TellsNothing(err)
	}
	return made.Write(w)
}

// listen takes the address of the page, if one is configured. If it cannot, the agent goes on without a page.
func (c *Cell) listen(ctx context.Context, version string) (serve func(context.Context)) {
	if c.conf.Page == nil {
		return func(context.Context) {}
	}
	p, err := c.page(version)
	var l net.Listener
	if err == nil {
		l, err = p.Listen(ctx)
	}
	if err != nil {
		c.log.Error("there is no page", "error", err)
		return func(context.Context) {}
	}
	c.Page = "http://" + l.Addr().String()
	if p.TLS != nil {
		c.Page = "https://" + l.Addr().String()
	}
	c.log.Info("the page is served", "address", c.Page)
	return func(ctx context.Context) {
		if err := p.Serve(ctx, l); err != nil {
			c.log.Error("the page has ended", "error", err)
		}
	}
}
