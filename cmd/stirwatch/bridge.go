package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/firmware-bridge/dialect"
	"stirwatch/sensors/unit"
)

func bridgeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bridge",
		Short: "Commission the way to a controller: ask, read, and command under a lease",
		Long: `Bridge speaks to the controller of agent.yaml's bridge section, within its limits. It is for
commissioning: the agent must not run meanwhile, since it uses the same port and journal.`,
		Example: `  stirwatch bridge probe
  stirwatch bridge get set_point
  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning" --dry-run
  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning"`,
	}
	c.AddCommand(bridgeProbeCommand(), bridgeGetCommand(), bridgeSetCommand())
	return c
}

// loadBridge reads the configuration and makes the bridge's options from it.
func loadBridge(path string) (*config.Config, bridge.Options, error) {
	conf, err := config.Load(path)
	if err != nil {
		return nil, bridge.Options{}, err
	}
	if conf.Bridge == nil {
		return nil, bridge.Options{}, coded{fmt.Errorf("%s has no bridge section: docs/bridge.md shows one for every kind of controller", path), exitConfig}
	}
	o, err := bridgeOptions(conf)
	if err == nil {
		_, err = bridge.New(o) // limits and number formats have to fit
	}
	if err != nil {
		return nil, o, coded{fmt.Errorf("%s: bridge: %w", path, err), exitConfig}
	}
	return conf, o, nil
}

// bridgeOptions turns the section into Options, without a Recorder. Secrets are fetched here.
func bridgeOptions(c *config.Config) (o bridge.Options, err error) {
	b := c.Bridge
	o = bridge.Options{Step: b.Step, Check: b.Check, Timeout: b.Timeout, Patience: b.Patience, State: c.Abs(b.State)}
	for i := range b.Targets {
		t := &b.Targets[i]
		o.Targets = append(o.Targets, bridge.Target{
			Name: t.Name, Unit: t.Unit, Min: t.Min.In(t.Unit), Max: t.Max.In(t.Unit), Slew: t.Slew.PerSecond(t.Unit),
			Tolerance: t.Tolerance, Lease: t.Lease,
			Safe: bridge.SafeState{Name: t.Safe.Name, Value: t.Safe.Value.In(t.Unit), Ramp: t.Safe.Ramp},
		})
	}
	for _, r := range b.Readings {
		o.Readings = append(o.Readings, bridge.Reading{Name: r.Name, Unit: r.Unit})
	}
	make, err := dialectOf(c, o)
	if err != nil {
		return o, err
	}
	if _, err := make(); err != nil {
		return o, err
	}
	o.Dialect = func() bridge.Dialect {
		d, err := make()
		if err != nil {
			panic(err) // the same was made before
		}
		return d
	}
	return o, nil
}

// dialectOf returns what makes the dialect that the section names.
func dialectOf(c *config.Config, o bridge.Options) (func() (bridge.Dialect, error), error) {
	b := c.Bridge
	var port *dialect.Port
	if b.Serial != nil {
		var err error
		port, err = dialect.Serial(dialect.SerialOptions{Path: c.Abs(b.Serial.Port), Baud: b.Serial.Baud, Parity: b.Serial.Parity, Stop: b.Serial.Stop, Settle: b.Serial.Settle})
		if err != nil {
			return nil, err
		}
	}
	switch {
	case b.MELD != nil:
		words := make(map[string]dialect.MELDWord)
		for _, w := range b.MELD.Words {
			words[w.Name] = dialect.MELDWord{Code: w.Code, Key: w.Key, Safe: w.Safe, Decimals: w.Decimals}
		}
		return func() (bridge.Dialect, error) { return dialect.NewMELD(port, words) }, nil
	case b.Line != nil:
		opt := dialect.LineOptions{
			Port: port, End: map[string]string{"crlf": "\r\n", "lf": "\n", "cr": "\r"}[b.Line.End],
			Probe: question(b.Line.Probe), Refusal: b.Line.Refusal, Sync: b.Line.Sync, Quiet: b.Line.Quiet,
			Words: make(map[string]dialect.LineWord),
		}
		for _, w := range b.Line.Words {
			opt.Words[w.Name] = dialect.LineWord{Set: w.Set, Reply: w.Reply, Get: question(w.Get), Safe: w.Safe, SafeReply: w.SafeReply, Scale: w.Scale}
		}
		return func() (bridge.Dialect, error) { return dialect.NewLine(opt) }, nil
	case b.Printer != nil:
		words := make(map[string]dialect.PrinterWord)
		for _, w := range b.Printer.Words {
			words[w.Name] = dialect.PrinterWord{Code: w.Code, Tool: w.Tool, Key: w.Key, Measured: w.Measured, Decimals: w.Decimals}
		}
		return func() (bridge.Dialect, error) { return dialect.NewPrinter(port, words, b.Printer.Report) }, nil
	case b.Modbus != nil:
		words := make(map[string]dialect.ModbusWord)
		for _, w := range b.Modbus.Words {
			word := dialect.ModbusWord{Register: uint16(w.Register), Type: w.Type, Swapped: w.Swapped, Multiple: w.Multiple, Scale: w.Scale}
			if w.Read >= 0 {
				read := uint16(w.Read)
				word.Read = &read
			}
			words[w.Name] = word
		}
		return func() (bridge.Dialect, error) { return dialect.NewModbus(port, b.Modbus.Slave, b.Serial.Baud, words) }, nil
	}
	password, err := b.MQTT.Password.Resolve()
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if secure, err = newTLS(c, b.MQTT.TLS); err != nil {
		return nil, err
	}
	opt := dialect.MQTTOptions{Broker: string(b.MQTT.Broker), Username: b.MQTT.Username, Password: password, TLS: secure, Expires: b.MQTT.Expires, Words: make(map[string]dialect.MQTTWord)}
	for _, w := range b.MQTT.Words {
		word := dialect.MQTTWord{Command: w.Command, Ack: w.Ack}
		for _, t := range o.Targets {
			if t.Name == w.Name {
				word.Unit = t.Unit.String()
			}
		}
		opt.Words[w.Name] = word
	}
	return func() (bridge.Dialect, error) { return dialect.NewMQTT(opt) }, nil
}

func question(q config.LineQuestion) dialect.LineQuestion {
	return dialect.LineQuestion{Send: q.Send, Reply: q.Reply, Lines: q.Lines, Line: q.Line}
}

func bridgeProbeCommand() *cobra.Command {
	var path string
	var dry bool
	c := &cobra.Command{
		Use:   "probe",
		Short: "Ask the controller who it is, and read every target and reading",
		Long: `Probe asks for the controller's identity or status, where its dialect knows such a question, and
reads every target and reading. It commands nothing.

Exit code 4: something did not answer.`,
		Example: `  stirwatch bridge probe
  stirwatch bridge probe --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			return probe(cmd.Context(), o, dry, cmd.OutOrStdout())
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&dry, "dry-run", false, "print what would go on the wire, and open nothing")
	return c
}

func probe(ctx context.Context, o bridge.Options, dry bool, w io.Writer) error {
	d := o.Dialect()
	defer d.Close()
	var names []bridge.Reading
	for _, t := range o.Targets {
		names = append(names, bridge.Reading{Name: t.Name, Unit: t.Unit})
	}
	names = append(names, o.Readings...)
	if dry {
		if s, err := d.Show(bridge.OpProbe, "", 0); err == nil {
			fmt.Fprintf(w, "would ask   %s   who are you?\n", s)
		}
		for _, r := range names {
			if err := showGet(w, d, r.Name); err != nil {
				return err
			}
		}
		return nil
	}
	failed := 0
	ask := func(f func(context.Context) error) error {
		// The first request may have to wait for the board to start, and for the beat.
		var err error
		for range 4 {
			one, cancel := context.WithTimeout(ctx, o.Timeout)
			err = f(one)
			cancel()
			if err == nil || ctx.Err() != nil || errors.Is(err, bridge.ErrNoReadBack) {
				break
			}
		}
		return err
	}
	if _, err := d.Show(bridge.OpProbe, "", 0); err == nil {
		var answer string
		if err := ask(func(ctx context.Context) (err error) { answer, err = d.Probe(ctx); return err }); err != nil {
			failed++
			fmt.Fprintf(w, "%v\n", err)
		} else {
			fmt.Fprintf(w, "%s\n", answer)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range names {
		var v float64
		err := ask(func(ctx context.Context) (err error) { v, err = d.Get(ctx, r.Name); return err })
		switch {
		case errors.Is(err, bridge.ErrNoReadBack):
			fmt.Fprintf(t, "%s\t-\t%v\n", r.Name, err)
		case err != nil:
			failed++
			fmt.Fprintf(t, "%s\t-\t%v\n", r.Name, err)
		default:
			fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, unit.Quantity{Value: v, Unit: r.Unit}, limitsOf(o, r.Name))
		}
	}
	t.Flush()
	if failed > 0 {
		return coded{fmt.Errorf("%d questions were not answered", failed), exitFound}
	}
	return nil
}

// limitsOf describes what may be commanded, "" for a reading.
func limitsOf(o bridge.Options, name string) string {
	for _, t := range o.Targets {
		if t.Name == name {
			return fmt.Sprintf("%g to %g %s, at most %g a second; safe state %q: %g %s", t.Min, t.Max, t.Unit, t.Slew, t.Safe.Name, t.Safe.Value, t.Unit)
		}
	}
	return ""
}

func showGet(w io.Writer, d bridge.Dialect, name string) error {
	s, err := d.Show(bridge.OpGet, name, 0)
	if errors.Is(err, bridge.ErrNoReadBack) {
		return nil
	}
	if err == nil {
		fmt.Fprintf(w, "would ask   %s   %s\n", s, name)
	}
	return err
}

func bridgeGetCommand() *cobra.Command {
	var path string
	var dry bool
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Read one target or reading from the controller",
		Example: `  stirwatch bridge get set_point
  stirwatch bridge get set_point --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			if dry {
				d := o.Dialect()
				defer d.Close()
				return showGet(cmd.OutOrStdout(), d, args[0])
			}
			o.State = "" // nothing is commanded, so nothing is reverted
			b, err := bridge.New(o)
			if err != nil {
				return err
			}
			defer b.Close()
			var q unit.Quantity
			for range 4 { // as for probe
				if q, err = b.Get(cmd.Context(), args[0]); err == nil || cmd.Context().Err() != nil {
					break
				}
			}
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), q)
			}
			return err
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&dry, "dry-run", false, "print what would go on the wire, and open nothing")
	return c
}

func bridgeSetCommand() *cobra.Command {
	var path, who, why string
	var dry bool
	var length time.Duration
	c := &cobra.Command{
		Use:   "set TARGET VALUE",
		Short: "Command a value under a lease; at its end the target reverts to its safe state",
		Long: `Set commands one target, within the limits of the configuration, holds the value for the time of
--for and then lets the target revert to its safe state. Ctrl-C reverts at once. What was asked,
given, read back and decided goes to the journal, with who and why; therefore the agent must not
run meanwhile.`,
		Example: `  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning" --dry-run
  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			q, err := quantityFor(o, args[0], args[1])
			if err != nil {
				return coded{err, exitUsage}
			}
			if dry {
				return showSet(cmd.OutOrStdout(), o, args[0], q, length)
			}
			if why == "" {
				return coded{errors.New("why is this commanded? --why \"…\" goes on record"), exitUsage}
			}
			return set(cmd.Context(), conf, o, bridge.Command{Target: args[0], Value: q, For: length, Who: who, Why: why}, cmd.OutOrStdout())
		},
	}
	configFlag(c, &path)
	name := "command line"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	c.Flags().StringVar(&who, "who", name, "who commands, for the record")
	c.Flags().StringVar(&why, "why", "", "why, for the record")
	c.Flags().DurationVar(&length, "for", 10*time.Second, "how long the value is held, ramp included")
	c.Flags().BoolVar(&dry, "dry-run", false, "print what would go on the wire, and open nothing")
	return c
}

// quantityFor reads a value in any unit of the target's kind.
func quantityFor(o bridge.Options, target, text string) (q unit.Quantity, err error) {
	var names []string
	for _, t := range o.Targets {
		if t.Name == target {
			return unit.ParseQuantity(text, t.Unit.Dim)
		}
		names = append(names, t.Name)
	}
	return q, fmt.Errorf("no target %s; there are %s", target, strings.Join(names, ", "))
}

func showSet(w io.Writer, o bridge.Options, target string, q unit.Quantity, length time.Duration) error {
	b, err := bridge.New(o)
	if err != nil {
		return err
	}
	given, err := b.Given(target, q)
	if err != nil {
		return err
	}
	var t bridge.Target
	for _, each := range b.Targets() {
		if each.Name == target {
			t = each
		}
	}
	d := o.Dialect()
	defer d.Close()
	fmt.Fprintf(w, "%s: %s\nasked %s, given %s\n", target, limitsOf(o, target), q, given)
	if err := showGet(w, d, target); err != nil {
		return err
	}
	for _, step := range []struct {
		op   bridge.Op
		v    float64
		what string
	}{
		{bridge.OpSet, given.Value, fmt.Sprintf("at the end of the way there, in steps of at most %g %s every %v", t.Slew*o.Step.Seconds(), t.Unit, o.Step)},
		{bridge.OpSafe, t.Safe.Value, fmt.Sprintf("after %v: safe state %q", length, t.Safe.Name)},
	} {
		s, err := d.Show(step.op, target, step.v)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "would send  %s   %s\n", s, step.what)
	}
	return nil
}

// set carries out one command for its time. It records into the journal and prints what happens.
func set(ctx context.Context, conf *config.Config, o bridge.Options, c bridge.Command, w io.Writer) (err error) {
	reg, err := newRegistry(conf)
	if err != nil {
		return err
	}
	j, err := newJournal(conf, reg, nil, newLogger(conf.Log, w), false)
	if err != nil {
		return fmt.Errorf("a command goes on record, and the record cannot be written: %w (if the agent runs, stop it first: it has the controller's port, too)", err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	o.Recorder = &tellAndRecord{w: w, to: agent.CommandRecord{Journal: j}}
	b, err := bridge.New(o)
	if err != nil {
		return err
	}
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupt reverts first
	ended := make(chan error, 1)
	go func() { ended <- b.Run(runCtx) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	select {
	case <-b.Started():
	case err := <-ended:
		ended <- nil
		return err
	}
	end := time.NewTimer(c.For)
	defer end.Stop()
	c.For += time.Second // the end is told, not waited for
	l, err := b.Command(c)
	if err != nil {
		return err
	}
	renew := time.NewTicker(longest(o, c.Target) / 3)
	defer renew.Stop()
	for {
		select {
		case <-renew.C:
			l.Renew(c.For)
		case <-end.C:
			l.Release("its time is over")
			return nil
		case <-l.Done():
			return l.Err()
		case <-ctx.Done():
			l.Release("interrupted")
			return ctx.Err()
		}
	}
}

func longest(o bridge.Options, target string) time.Duration {
	for _, t := range o.Targets {
		if t.Name == target && t.Lease > 0 {
			return t.Lease
		}
	}
	return time.Second
}

// tellAndRecord prints records for the person at the command line as well.
type tellAndRecord struct {
	mu sync.Mutex
	w  io.Writer
	to bridge.Recorder
}

func (t *tellAndRecord) Record(r bridge.Record) {
	t.to.Record(r)
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "%s  %-9s", r.At.Format("15:04:05.000"), r.Verdict)
	for _, v := range []struct {
		name  string
		value float64
	}{{"asked", r.Asked}, {"given", r.Given}, {"reads back", r.ReadBack}} {
		if v.value == v.value {
			fmt.Fprintf(t.w, "  %s %g %s", v.name, v.value, r.Unit)
		}
	}
	if r.Note != "" {
		fmt.Fprintf(t.w, "  (%s)", r.Note)
	}
	fmt.Fprintln(t.w)
}
