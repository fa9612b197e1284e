package assemble

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"stirwatch/agent/dashboard"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/config"
	"stirwatch/dynamics/report"
	"stirwatch/dynamics/runs"
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

// checkPage tells what keeps the page of a configuration from being served.
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
	o.Report = func(ctx context.Context, w io.Writer, run journal.Run) error { return c.report(ctx, w, run, version) }
	return dashboard.New(o), nil
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
	made, err := report.Make(m, []report.Run{{Run: *read, From: from, To: to}}, report.Options{Version: version})
	if err != nil { // it has been read well, and there is nothing in it that could be shown
		return history.TellsNothing(err)
	}
	return made.Write(w)
}

// listen takes the address of the page, where there is one. An agent that cannot have it watches all the same.
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
