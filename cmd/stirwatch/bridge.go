package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strings"
	"sync"
	"syscall"
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
commissioning: the agent must not run meanwhile, since it uses the same port and journal.

What a program that died has left under lease is shown and reverted before anything else.

Opening a port restarts many boards (an Arduino Uno is one), and their outputs go off: 'get --every'
keeps it open between readings.`,
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
	o, err := checkedBridgeOptions(conf)
	if err != nil {
		return nil, o, coded{fmt.Errorf("%s: %w", path, err), exitConfig}
	}
	return conf, o, nil
}

// checkedBridgeOptions are those of which a bridge can be made: limits and number formats fit.
func checkedBridgeOptions(conf *config.Config) (bridge.Options, error) {
	o, err := bridgeOptions(conf)
	if err == nil {
		_, err = bridge.New(o)
	}
	return o, err
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
			Safe: bridge.SafeState{Name: t.Safe.Name, Ramp: t.Safe.Ramp, AsFound: t.Safe.AsFound},
		})
		if !t.Safe.AsFound {
			o.Targets[i].Safe.Value = t.Safe.Value.In(t.Unit)
		}
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
reads every target and reading. It commands nothing, but reverts what a program that died has left
under lease.

Exit code 4: something did not answer.`,
		Example: `  stirwatch bridge probe
  stirwatch bridge probe --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			if dry {
				return showProbe(cmd.OutOrStdout(), o)
			}
			if err := revertLeft(cmd.Context(), conf, o, cmd.ErrOrStderr()); err != nil {
				return err
			}
			return probe(cmd.Context(), conf, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&dry, "dry-run", false, "print what would go on the wire, and open nothing")
	return c
}

func showProbe(w io.Writer, o bridge.Options) error {
	d := o.Dialect()
	defer d.Close()
	if s, err := d.Show(bridge.OpProbe, "", 0); err == nil {
		fmt.Fprintf(w, "would ask   %s   who are you?\n", s)
	}
	for _, name := range readable(o) {
		if err := showGet(w, d, name); err != nil {
			return err
		}
	}
	return nil
}

// readable are the names of the targets and readings.
func readable(o bridge.Options) (names []string) {
	for _, t := range o.Targets {
		names = append(names, t.Name)
	}
	for _, r := range o.Readings {
		names = append(names, r.Name)
	}
	return names
}

func probe(ctx context.Context, conf *config.Config, o bridge.Options, w, notes io.Writer) error {
	b, err := open(ctx, conf, o, notes)
	if err != nil {
		return coded{err, exitFound}
	}
	defer b.Close()
	failed := 0
	d := o.Dialect()
	defer d.Close()
	if _, err := d.Show(bridge.OpProbe, "", 0); err == nil {
		answer, err := again(ctx, b.Probe)
		if err != nil {
			failed++
			answer = err.Error()
		}
		fmt.Fprintln(w, answer)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range readable(o) {
		q, err := again(ctx, func(ctx context.Context) (unit.Quantity, error) { return b.Get(ctx, name) })
		switch {
		case err == nil:
			fmt.Fprintf(t, "%s\t%s\t%s\n", name, q, limitsOf(o, name))
		case !errors.Is(err, bridge.ErrNoReadBack):
			failed++
			fallthrough
		default:
			fmt.Fprintf(t, "%s\t-\t%v\n", name, err)
		}
	}
	t.Flush()
	if failed > 0 {
		return coded{fmt.Errorf("%d questions were not answered", failed), exitFound}
	}
	return nil
}

// open makes a bridge that only asks, and connects it. A controller that starts when its port is
// opened is waited for.
func open(ctx context.Context, conf *config.Config, o bridge.Options, notes io.Writer) (*bridge.Bridge, error) {
	if s := conf.Bridge.Serial; s != nil && s.Settle > 0 {
		fmt.Fprintf(notes, "opening the port restarts the controller (settle %v): what it held before is gone\n", s.Settle)
	}
	o.State = "" // it commands nothing
	b, err := bridge.New(o)
	if err == nil {
		if err = b.Open(ctx); err != nil {
			b.Close()
		}
	}
	return b, err
}

// again asks until an answer comes, a few times: the first question may have to find the beat.
func again[T any](ctx context.Context, ask func(context.Context) (T, error)) (v T, err error) {
	for range 4 {
		if v, err = ask(ctx); err == nil || ctx.Err() != nil || errors.Is(err, bridge.ErrNoReadBack) {
			break
		}
	}
	return v, err
}

// limitsOf describes what may be commanded, "" for a reading.
func limitsOf(o bridge.Options, name string) string {
	for _, t := range o.Targets {
		if t.Name == name {
			safe := fmt.Sprintf("%g %s", t.Safe.Value, t.Unit)
			if t.Safe.AsFound {
				safe = "as found before the command"
			}
			return fmt.Sprintf("%g to %g %s, at most %g a second; safe state %q: %s", t.Min, t.Max, t.Unit, t.Slew, t.Safe.Name, safe)
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
	var every time.Duration
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Read one target or reading from the controller",
		Long: `Get reads one target or reading. It commands nothing, but reverts what a program that died has left
under lease. Opening a port restarts many boards, and their outputs go off: with --every the port
stays open, and the value is read again and again until Ctrl-C.`,
		Example: `  stirwatch bridge get set_point
  stirwatch bridge get set_point --every 2s
  stirwatch bridge get set_point --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			name := args[0]
			if !slices.Contains(readable(o), name) {
				return coded{fmt.Errorf("neither a target nor a reading has the name %s; there are %s", name, strings.Join(readable(o), ", ")), exitUsage}
			}
			if dry {
				d := o.Dialect()
				defer d.Close()
				return showGet(cmd.OutOrStdout(), d, name)
			}
			ctx := cmd.Context()
			if err := revertLeft(ctx, conf, o, cmd.ErrOrStderr()); err != nil {
				return err
			}
			b, err := open(ctx, conf, o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer b.Close()
			for {
				q, err := again(ctx, func(ctx context.Context) (unit.Quantity, error) { return b.Get(ctx, name) })
				switch {
				case err == nil:
					fmt.Fprintln(cmd.OutOrStdout(), q)
				case every <= 0 || ctx.Err() != nil || errors.Is(err, bridge.ErrNoReadBack):
					return err
				default:
					fmt.Fprintln(cmd.ErrOrStderr(), err)
				}
				if every <= 0 {
					return nil
				}
				select {
				case <-time.After(every):
				case <-ctx.Done():
					return nil
				}
			}
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&dry, "dry-run", false, "print what would go on the wire, and open nothing")
	c.Flags().DurationVar(&every, "every", 0, "read again and again, over one connection")
	return c
}

// revertLeft shows and reverts, on record, what a program that died has left under lease. It gives up
// where the controller cannot be reached.
func revertLeft(ctx context.Context, conf *config.Config, o bridge.Options, notes io.Writer) error {
	left, err := o.Left()
	if errors.Is(err, bridge.ErrInUse) {
		return nil // those leases are in force
	}
	if err != nil || len(left) == 0 {
		return err
	}
	fmt.Fprintf(notes, "%s: left under lease by a program that died; it is reverted first\n", strings.Join(left, ", "))
	tell := &tellAndRecord{w: notes}
	o.Recorder = tell
	if reg, err := newRegistry(conf); err == nil {
		j, err := newJournal(conf, reg, nil, newLogger(conf.Log, notes), false)
		if err == nil {
			defer j.Close()
			tell.to = agent.CommandRecord{Journal: j}
		} else { // safety comes before the record
			fmt.Fprintf(notes, "this does not go on record: %v\n", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, longestRevert(conf, o))
	defer cancel()
	_, err = bridge.Recover(ctx, o)
	return err
}

// longestRevert is how long a controller that answers may take to get to its safe state.
func longestRevert(conf *config.Config, o bridge.Options) time.Duration {
	ramp := time.Duration(0)
	for _, t := range o.Targets {
		if t.Safe.Ramp {
			ramp = max(ramp, time.Duration(2*(t.Max-t.Min)/t.Slew*1e9))
		}
	}
	if s := conf.Bridge.Serial; s != nil {
		ramp += s.Settle
	}
	return ramp + 2*o.Patience
}

func bridgeSetCommand() *cobra.Command {
	var path, who, why string
	var dry bool
	var length time.Duration
	c := &cobra.Command{
		Use:   "set TARGET VALUE",
		Short: "Command a value under a lease; at its end the target reverts to its safe state",
		Long: `Set commands one target, within the limits of the configuration, holds the value for the time of
--for and then lets the target revert to its safe state. Ctrl-C, or a terminal that hangs up, reverts
at once. It goes on trying to reach the safe state for as long as it lives; a second Ctrl-C gives
that up and says what it leaves behind. What was asked, given, read back and decided goes to the
journal, with who and why; therefore the agent must not run meanwhile.

Exit code 1: the value was not confirmed (acknowledged and, where that can be, read back), or the
safe state not reached.`,
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
	c.Flags().DurationVar(&length, "for", 10*time.Second, "how long the value is held, ramp included; the time that the controller takes to start does not count")
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
		if step.op == bridge.OpSafe && t.Safe.AsFound {
			fmt.Fprintf(w, "would send  what was found   %s\n", step.what)
			continue
		}
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
	left, err := o.Left()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		fmt.Fprintf(w, "%s: left under lease by a program that died; it is reverted first\n", strings.Join(left, ", "))
	}
	o.Recorder = &tellAndRecord{w: w, to: agent.CommandRecord{Journal: j}}
	b, err := bridge.New(o)
	if err != nil {
		return err
	}
	// Whoever reads the output may go away; the way to safety goes on.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	defer onSecond(b.Abandon)()
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupt reverts first
	ended := make(chan error, 1)
	go func() { ended <- b.Run(runCtx) }()
	select {
	case <-b.Started():
	case err := <-ended:
		stop()
		return err
	}
	if err = settled(ctx, b, w); err == nil {
		if err = b.Open(ctx); err == nil {
			err = hold(ctx, b, c, longest(o, c.Target))
		}
	}
	settled(context.WithoutCancel(ctx), b, w)
	stop()
	if unsafe := <-ended; unsafe != nil {
		return coded{fmt.Errorf("%w (%s remembers it: the next bridge command, run or doctor reverts it)", unsafe, o.State), exitFailure}
	}
	return err
}

// hold commands a value, keeps it for its time and gives it back. It fails where the value was not
// confirmed.
func hold(ctx context.Context, b *bridge.Bridge, c bridge.Command, longest time.Duration) error {
	length := c.For
	end := time.NewTimer(length)
	defer end.Stop()
	c.For += time.Second // the end is told, not waited for
	l, err := b.Command(c)
	if err != nil {
		return err
	}
	renew := time.NewTicker(longest / 3)
	defer renew.Stop()
	for {
		select {
		case <-renew.C:
			l.Renew(c.For)
		case <-end.C:
			s, _ := b.State(c.Target)
			l.Release("its time is over")
			select {
			case <-l.Reached():
				return nil
			default:
			}
			if s.Verified {
				return fmt.Errorf("%s did not get to %s within %v: it was on its way there, at %g %s; --for must be longer", c.Target, l.Given(), length, s.Sent, s.Unit)
			}
			return fmt.Errorf("%s was not confirmed at %s within %v: %w", c.Target, l.Given(), length, cmp.Or(s.Problem, errors.New("no reply")))
		case <-l.Done():
			return l.Err()
		case <-ctx.Done():
			l.Release("interrupted")
			return ctx.Err()
		}
	}
}

// stillTrying is the time between two words about a safe state that is not reached.
const stillTrying = 5 * time.Second

// settled waits until no target is on its way to its safe state, and tells why that takes so long.
func settled(ctx context.Context, b *bridge.Bridge, w io.Writer) error {
	for {
		one, cancel := context.WithTimeout(ctx, stillTrying)
		err := b.Safe(one)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case b.Abandoned():
			return err
		}
		fmt.Fprintf(w, "%v; it is tried again until that is done, or a second Ctrl-C\n", err)
	}
}

// stopSignals end a program: Ctrl-C, a service's stop, a terminal that hangs up, unless that is to be
// survived (nohup).
func stopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// onSecond calls f at the second signal to stop, instead of an end without a word. A third one is such
// an end.
func onSecond(f func()) (done func()) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, stopSignals()...)
	quit := make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-c:
			case <-quit:
				return
			}
		}
		signal.Stop(c)
		f()
	}()
	return func() {
		signal.Stop(c)
		close(quit)
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
	if t.to != nil {
		t.to.Record(r)
	}
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
