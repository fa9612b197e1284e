package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/config"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/unit"
)

// This file takes runs out of the journal and lays their samples on one time grid, so that they
// are runs like those of a log.

const (
	// afterRun belongs to a run too, as far as the next does not begin: the tool that cools down
	// tells more of its losses than the same time of a build, and then has little left to tell.
	afterRun = 10 * time.Minute

	// longestRun bounds what is read of a run that was never ended.
	longestRun = 12 * time.Hour

	// silentFor is how long after its last commit an agent is taken to have stopped: a running one
	// records its sources' counters each minute.
	silentFor = 3 * time.Minute

	// longestGap between readings of the output is followed; a longer one ends the active part.
	longestGap = 10 * time.Second

	// finest is the spacing below which only the newest of samples is kept while reading: memory
	// is then bounded however fast a channel comes, and rows are hardly ever nearer than a second.
	finest = 50 * time.Millisecond
)

// journalRuns says which runs to take out of which journal, as the command line has it.
type journalRuns struct {
	on    bool
	conf  string
	last  int
	since string
	runs  []string
}

func (f *journalRuns) flags(c *cobra.Command, last int) {
	c.Flags().BoolVar(&f.on, "from-journal", false, "take runs out of a journal: the file given, else that of the configuration")
	configFlag(c, &f.conf)
	c.Flags().IntVar(&f.last, "last", last, "with --from-journal: so many of the newest runs")
	c.Flags().StringVar(&f.since, "since", "", "with --from-journal: the runs begun since, e.g. 2026-07-01 (local time) or 2026-07-01T06:00:00Z")
	c.Flags().StringArrayVar(&f.runs, "run", nil, "with --from-journal: the run of that `name` (see stirwatch export --list), or last; repeatable")
}

// args checks the command line: run logs, or a journal at most.
func (f *journalRuns) args(c *cobra.Command, args []string) error {
	if !f.on {
		for _, name := range []string{"last", "since", "run", "config"} {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s needs --from-journal", name)
			}
		}
		return cobra.MinimumNArgs(1)(c, args)
	}
	switch {
	case len(args) > 1:
		return fmt.Errorf("--from-journal reads one journal, not %d files; learn from run logs without it", len(args))
	case c.Flags().Changed("units"):
		return errors.New("--units is for run logs: the journal knows the unit of every sample")
	case len(f.runs) > 0 && (c.Flags().Changed("last") || f.since != ""):
		return errors.New("give either --run or --last and --since")
	case f.last < 1:
		return fmt.Errorf("--last %d: give a number of runs, 1 or more", f.last)
	}
	return nil
}

// read gives the runs that the command line names, from run logs or from a journal, the oldest first.
func (f *journalRuns) read(cmd *cobra.Command, args []string, units string, want model.Channels) ([]*recorded, error) {
	if !f.on {
		return readRuns(cmd.ErrOrStderr(), args, units, want)
	}
	var path string
	if len(args) == 1 {
		path = args[0]
	}
	conf, err := config.Load(f.conf)
	var reg *sensors.Registry
	switch {
	case err == nil:
		if reg, err = newRegistry(conf); err != nil {
			return nil, err
		}
		if path == "" {
			path = conf.Abs(conf.Journal.Path)
		}
	case path != "" && !cmd.Flags().Changed("config") && errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(cmd.ErrOrStderr(), "no %s here: channels are taken to have the names of the example (tool_temperature, spindle_speed, …)\n", f.conf)
		if reg, err = sensors.NewRegistry(runlog.MELDChannels()); err != nil {
			return nil, err
		}
	case path == "" && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; or name the journal: %s --from-journal JOURNAL.db", err, cmd.CommandPath())
	default:
		return nil, err
	}
	r, err := journal.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := &taker{path: path, reader: r, reg: reg, want: want, cmd: cmd, named: len(f.runs) > 0}
	chosen, err := f.choose(r, path)
	if err != nil {
		return nil, err
	}
	return t.take(chosen, f)
}

// choose lists the runs that the flags name, the newest first.
func (f *journalRuns) choose(r *journal.Reader, path string) (chosen []journal.Run, err error) {
	if len(f.runs) > 0 {
		for _, name := range f.runs {
			run, err := findRun(r, name)
			if err != nil {
				return nil, err
			}
			chosen = append(chosen, run)
		}
		return newestFirst(chosen), nil
	}
	all, err := r.Runs()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("journal %s has no run yet: the agent marks one when the spindle turns for %v, which it knows of the channel that is %s", path, 2*time.Second, sensors.SpindleSpeed)
	}
	var since time.Time
	if f.since != "" {
		if since, err = time.ParseInLocation(time.DateOnly, f.since, time.Local); err != nil {
			if since, err = time.Parse(time.RFC3339Nano, f.since); err != nil {
				return nil, coded{fmt.Errorf("--since %q: write a day such as 2026-07-01 or an instant such as 2026-07-01T06:00:00Z", f.since), exitUsage}
			}
		}
	}
	for _, run := range all {
		if f.since == "" || run.Start >= since.UnixNano() {
			chosen = append(chosen, run)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("journal %s has no run since %s; its newest, of %d, is %s", path, f.since, len(all), newestFirst(all)[0].Name)
	}
	return newestFirst(chosen), nil
}

// newestFirst sorts runs. What was replayed twice into one journal is one run: else it could be
// learned from and held out at once.
func newestFirst(runs []journal.Run) []journal.Run {
	slices.SortFunc(runs, func(a, b journal.Run) int { return cmp.Or(cmp.Compare(b.Start, a.Start), cmp.Compare(b.ID, a.ID)) })
	return slices.CompactFunc(runs, func(a, b journal.Run) bool { return a.Start == b.Start })
}

// taker takes runs out of one journal.
type taker struct {
	path   string
	reader *journal.Reader
	reg    *sensors.Registry
	want   model.Channels
	cmd    *cobra.Command
	named  bool // the runs were asked for by name
}

func (t *taker) say(format string, a ...any) { fmt.Fprintf(t.cmd.ErrOrStderr(), format+"\n", a...) }

// take reads the runs chosen, newest first, until there are enough. One from which nothing can be
// learned is left out with its reason, unless it was asked for by name.
func (t *taker) take(chosen []journal.Run, f *journalRuns) ([]*recorded, error) {
	enough := len(chosen)
	if !t.named && (f.since == "" || t.cmd.Flags().Changed("last")) {
		enough = f.last
	}
	all, err := t.reader.Runs()
	if err != nil {
		return nil, err
	}
	last, err := t.reader.LastCommit()
	if err != nil {
		return nil, err
	}
	var runs []*recorded
	for _, run := range chosen {
		if len(runs) == enough {
			break
		}
		var left unusable
		r, err := t.run(run, all, time.Since(time.Unix(0, last)))
		switch {
		case errors.As(err, &left) && !t.named:
			t.say("%s is left out: %v", run.Name, err)
		case err != nil:
			return nil, fmt.Errorf("run %s of journal %s: %w", run.Name, t.path, err)
		default:
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("journal %s: none of the %d runs asked for can be used, for the reasons above", t.path, len(chosen))
	}
	slices.Reverse(runs)
	return runs, nil
}

// unusable is why a run holds nothing to learn from.
type unusable struct{ error }

// run reads one run and looks if it can be used; all are those of the journal, quiet is how long
// ago its last commit was.
func (t *taker) run(run journal.Run, all []journal.Run, quiet time.Duration) (*recorded, error) {
	begin, end := run.Start-int64(longestGap), run.End+int64(afterRun)
	if run.End == 0 {
		if quiet < silentFor {
			return nil, unusable{errors.New("it is still going on; it ends when the spindle has stood still for two minutes")}
		}
		t.say("%s was never ended, the agent stopped in it: it is read to the end of the record", run.Name)
		end = run.Start + int64(longestRun)
	}
	for _, other := range all {
		switch {
		case other.Start > run.Start:
			end = min(end, other.Start)
		case other.Start < run.Start:
			begin = max(begin, min(other.End, run.Start))
		}
	}
	if limit := run.Start + int64(longestRun); end > limit {
		t.say("%s: no more than its first %v are read", run.Name, longestRun)
		end = limit
	}
	r, err := t.assemble(run, begin, end)
	if err != nil {
		return nil, err
	}
	from, to, err := runs.ActiveRows(&model.Model{Inputs: t.want.Inputs, Outputs: t.want.Outputs}, &r.Run)
	if err != nil {
		return nil, unusable{fmt.Errorf("there is no time when the spindle turns and the %s is live", t.want.Outputs[0].Name)}
	}
	live, top := 0, math.Inf(-1)
	for _, z := range r.Z[0][from:to] {
		if z == z {
			live, top = live+1, max(top, z)
		}
	}
	if live < fewestRows {
		return nil, unusable{fmt.Errorf("it has %d usable rows of %s, at least %d are needed", live, t.want.Outputs[0].Name, fewestRows)}
	}
	// A run asked for by name may be cold: beside hot ones it tells something too.
	if above := t.want.Outputs[0].ScoreAbove; above != 0 && top <= above && !t.named {
		return nil, unusable{fmt.Errorf("the %s never exceeds %g %s (highest reading %.0f)", t.want.Outputs[0].Name, above, t.want.Outputs[0].Unit, top)}
	}
	t.say("%s: %d rows, %v, %d of them active", r.Name, len(r.Time), time.Duration(r.Time[len(r.Time)-1]*1e9).Round(time.Second), to-from)
	return r, nil
}

const fewestRows = 60 // of a run; less does not hold one minute's forecast

// series holds the samples of one channel in the unit wanted.
type series struct {
	channel string
	as      string    // role or name of the input or output
	unit    unit.Unit // of v
	maxAge  int64     // ns; 0: a sample never gets old
	any     bool      // another dimension is no error: the samples are missing then

	t []int64   // ns since the Unix epoch
	v []float64 // NaN where the sample was not good

	maps map[string]conversion // by unit of the record
}

type conversion struct {
	unit.Map
	ok bool
}

// find makes an empty series for a role, or a channel of that name; nil if there is neither.
func (t *taker) find(name, unitName string) (*series, error) {
	id, ok := t.reg.Find(sensors.Role(name))
	if !ok || sensors.Role(name) == sensors.Other {
		if id, ok = t.reg.Lookup(name); !ok {
			return nil, nil
		}
	}
	u, err := unit.Parse(unitName)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c := t.reg.Channel(id)
	return &series{channel: c.Name, as: name, unit: u, maxAge: int64(c.MaxAge), maps: map[string]conversion{}}, nil
}

// assemble reads the samples of a run, begin ≤ time < end, and lays them on one time grid. The record keeps
// the unit of every sample, so that it does not matter when a channel's unit was changed: each is
// converted from the unit in which it was recorded.
func (t *taker) assemble(run journal.Run, begin, end int64) (*recorded, error) {
	var all []*series
	column := func(name, unitName string) (*series, error) {
		s, err := t.find(name, unitName)
		if s != nil {
			all = append(all, s)
		}
		return s, err
	}
	var inputs, outputs []*series
	for _, in := range t.want.Inputs {
		s, err := column(in.Name, in.Unit)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, s) // nil: missing in every row, as in a log without the column
	}
	for _, out := range t.want.Outputs {
		s, err := column(out.Name, out.Unit)
		if err != nil {
			return nil, err
		}
		if s == nil {
			return nil, fmt.Errorf("no channel of the configuration is %s: say `is: %s` of the one that measures it", out.Name, out.Name)
		}
		outputs = append(outputs, s)
	}
	// The set-point holds a torque or a force in some modes of the spindle, and is then no baseline
	// for a temperature.
	set, err := column(string(sensors.SetPoint), "°C")
	if err != nil {
		return nil, err
	}
	if set != nil {
		set.any = true
	}
	if err := t.samples(run, begin, end, all); err != nil {
		return nil, err
	}
	z := outputs[0]
	at := z.rows()
	if len(at) < 2 {
		return nil, unusable{fmt.Errorf("the record has %d samples of channel %q, its %s", len(z.t), z.channel, z.as)}
	}
	r := &recorded{Run: runs.Run{Name: run.Name, Began: time.Unix(0, at[0].t)}}
	var first []float64
	for i, row := range at {
		r.Time = append(r.Time, float64(row.t-at[0].t)/1e9)
		r.line = append(r.line, i+2) // as if a header stood above, so that rows count from 0
		first = append(first, row.v)
	}
	for i, in := range t.want.Inputs {
		r.Inputs, r.U = append(r.Inputs, in.Name), append(r.U, inputs[i].hold(at))
	}
	r.Z = append(r.Z, first)
	for _, s := range outputs[1:] {
		r.Z = append(r.Z, s.hold(at))
	}
	if set != nil && len(set.t) > 0 {
		r.SetPoint = set.hold(at)
	}
	r.SHA256 = fingerprint(at)
	return r, nil
}

// samples fills the series from the record, in order of time.
func (t *taker) samples(run journal.Run, begin, end int64, all []*series) error {
	byChannel := map[string][]*series{} // a set-point may be an input too
	for _, s := range all {
		byChannel[s.channel] = append(byChannel[s.channel], s)
	}
	others := map[string]bool{}
	p := progress{w: t.cmd.ErrOrStderr()}
	q := journal.Query{From: begin, To: end}
	q.Progress = func(done, total int64) { p.say("%s: batch %d of %d", run.Name, done, total) }
	err := journal.Rows(t.cmd.Context(), t.reader, q, func(x *record.Sample) error {
		into := byChannel[x.Channel]
		if into == nil {
			if len(others) < 100 {
				others[x.Channel] = true
			}
			return nil
		}
		for _, s := range into {
			if err := s.add(x.Time, x.Value, x.Unit, x.Quality == ""); err != nil {
				return err
			}
		}
		return nil
	})
	p.done()
	var damage *journal.DamageError
	switch {
	case errors.As(err, &damage):
		t.say("%s: %v; what they held is missing in the run, the rest is used", run.Name, damage)
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return err
	}
	gaps, err := t.reader.Gaps()
	if err != nil {
		return err
	}
	for _, g := range gaps {
		if g.From.UnixNano() < end && g.To.UnixNano() >= run.Start {
			t.say("%s: the record misses %d lines between %s and %s: %s", run.Name, g.Lines, g.From.UTC().Format(time.TimeOnly), g.To.UTC().Format(time.TimeOnly), g.Reason)
		}
	}
	for _, s := range all {
		s.sort()
		if len(s.t) == 0 && !s.any {
			t.say("%s: nothing was recorded of channel %q, the %s; there are %s", run.Name, s.channel, s.as, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
		}
	}
	return nil
}

// add takes one sample. It fails if its unit measures something else than the series.
func (s *series) add(at int64, v float64, unitTag string, good bool) error {
	c, known := s.maps[unitTag]
	if !known {
		from, err := unit.Parse(unitTag)
		if err != nil {
			return fmt.Errorf("channel %q was recorded in %q: %w", s.channel, unitTag, err)
		}
		m, err := unit.Between(from, s.unit)
		if err != nil && !s.any {
			return fmt.Errorf("channel %q was recorded in %s, but as %s it must be in one of %s: correct what agent.yaml says it is, or choose runs of another time",
				s.channel, from, s.as, strings.Join(unit.Of(s.unit.Dim), ", "))
		}
		c = conversion{m, err == nil}
		s.maps[unitTag] = c
	}
	v = c.Apply(v)
	if !good || !c.ok {
		v = math.NaN()
	}
	if n := len(s.t); n > 0 && at/int64(finest) == s.t[n-1]/int64(finest) {
		if v == v || s.v[n-1] != s.v[n-1] { // a good one is worth more than a newer one
			s.t[n-1], s.v[n-1] = at, v
		}
		return nil
	}
	s.t, s.v = append(s.t, at), append(s.v, v)
	return nil
}

// sort puts the samples in order of time: sources hand in what they have when they have it. Of
// two of one instant the later recorded stays, as in InfluxDB, unless only the other is good.
func (s *series) sort() {
	if slices.IsSorted(s.t) {
		s.unique()
		return
	}
	order := make([]int, len(s.t))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.t[a], s.t[b]) })
	t, v := make([]int64, len(order)), make([]float64, len(order))
	for i, k := range order {
		t[i], v[i] = s.t[k], s.v[k]
	}
	s.t, s.v = t, v
	s.unique()
}

func (s *series) unique() {
	n := 0
	for i := range s.t {
		switch {
		case n == 0 || s.t[n-1] != s.t[i]:
			s.t[n], s.v[n] = s.t[i], s.v[i]
			n++
		case s.v[i] == s.v[i]:
			s.v[n-1] = s.v[i]
		}
	}
	s.t, s.v = s.t[:n], s.v[:n]
}

// gridRow is one row of the grid: its instant and the reading of the output there.
type gridRow struct {
	t int64
	v float64
}

// rows makes the grid from the output's own samples, so that no reading is moved in time or made
// up between two others. Where they come faster than about once a second, the one nearest to each whole
// second stays: learning and its forecasts are made for steps of a second, the lag of the sensor
// is several, and more rows would cost much and say nothing new, their errors being those of their
// neighbours. A mean over the second would hide when a reading was taken, and noise by more than
// the estimator will see. A bad sample stays only where its second has no good one. A pause longer than longestGap
// gets one row without a reading, which ends the live part there: what the process did meanwhile
// nobody knows.
func (s *series) rows() []gridRow {
	var rows []gridRow
	second := func(t int64) int64 { return (t + int64(time.Second)/2) / int64(time.Second) }
	off := func(t int64) int64 { return max(t-second(t)*int64(time.Second), second(t)*int64(time.Second)-t) }
	fast := s.spacing() < 700*time.Millisecond
	for i, t := range s.t {
		p := gridRow{t, s.v[i]}
		if n := len(rows); n > 0 {
			was := rows[n-1]
			if fast && second(was.t) == second(t) {
				good, wasGood := p.v == p.v, was.v == was.v
				if good && !wasGood || good == wasGood && off(t) < off(was.t) {
					rows[n-1] = p
				}
				continue
			}
			if t-was.t > int64(longestGap) {
				rows = append(rows, gridRow{was.t + int64(time.Second), math.NaN()})
			}
		}
		rows = append(rows, p)
	}
	return rows
}

// spacing is the median time between samples.
func (s *series) spacing() time.Duration {
	if len(s.t) < 2 {
		return time.Duration(math.MaxInt64)
	}
	d := make([]int64, len(s.t)-1)
	for i := range d {
		d[i] = s.t[i+1] - s.t[i]
	}
	slices.Sort(d)
	return time.Duration(d[len(d)/2])
}

// hold gives each row the last sample that is not younger; missing where there is none, it was not
// good, or it is older than the channel's age. A nil series is missing everywhere.
func (s *series) hold(at []gridRow) []float64 {
	v, k := make([]float64, len(at)), -1
	for i, row := range at {
		v[i] = math.NaN()
		if s == nil {
			continue
		}
		for k+1 < len(s.t) && s.t[k+1] <= row.t {
			k++
		}
		if k >= 0 && (s.maxAge == 0 || row.t-s.t[k] <= s.maxAge) {
			v[i] = s.v[k]
		}
	}
	return v
}

// fingerprint identifies a run by the instants and readings of its rows, as SHA-256 in hex. The
// inputs are left out, so that models of different inputs still know that they were learned from one run.
func fingerprint(at []gridRow) string {
	h := sha256.New()
	var b [16]byte
	for _, row := range at {
		v := row.v
		if v != v {
			v = math.NaN() // one pattern of bits
		}
		binary.LittleEndian.PutUint64(b[:8], uint64(row.t))
		binary.LittleEndian.PutUint64(b[8:], math.Float64bits(v))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
