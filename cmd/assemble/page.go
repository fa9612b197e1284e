package assemble

import (
	"context"
	"path/filepath"

	"stirwatch/agent/dashboard"
)

// page makes the page of the configuration, which has one.
func (c *Cell) page(version string) *dashboard.Server {
	p := c.conf.Page
	o := dashboard.Options{
		Listen: p.Listen, Machine: c.conf.Machine, Version: version, Agent: c.Agent, Journal: c.Journal, Registry: c.Registry,
		Model: c.model, Config: c.conf.Show, Socket: c.handler(version), Log: c.log,
	}
	if c.model != nil {
		o.ModelName = filepath.Base(string(c.conf.Model.File))
	}
	return dashboard.New(o)
}

// listen takes the address of the page, where there is one. An agent that cannot have it watches all the same.
func (c *Cell) listen(ctx context.Context, version string) (serve func(context.Context)) {
	if c.conf.Page == nil {
		return func(context.Context) {}
	}
	p := c.page(version)
	l, err := p.Listen(ctx)
	if err != nil {
		c.log.Error("there is no page", "error", err)
		return func(context.Context) {}
	}
	c.Page = "http://" + l.Addr().String()
	c.log.Info("the page is served", "address", c.Page)
	return func(ctx context.Context) {
		if err := p.Serve(ctx, l); err != nil {
			c.log.Error("the page has ended", "error", err)
		}
	}
}
