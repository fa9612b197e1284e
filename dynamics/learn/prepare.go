package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

const (
	minRows  = 60 // of usable readings, over all runs
	rowsEach = 5  // of those that forecasts are judged on, for each number to learn
)

// problem is what there is to learn from, made by prepare; no later stage changes it.
type problem struct {
	h        *model.Hypotheses
	o        Options
	runs     []*runs.Run        // active rows, columns of the draft
	spindle  *phase.ContactRule // of a machine that is not the like of the default's
	start    float64            // N·m, see [model.Model.StartTorque]
	draft    *model.Model       // with all candidates that have data
	without  map[string]string  // by [model.CandidateName] of the others: what input it lacks
	planned  []string           // symbols of the inputs that a plan needs, of those that have data
	from     *unseen            // what was learned from these runs before, where something was: a fit begins there
	before   []*unseen          // by run: what was learned without it before, nil where nothing was
	conflict float64            // see [model.Provenance.PriorConflict]
}

// ofPlans are the inputs that say how a build goes on.
var ofPlans = []string{model.SpindlePower, model.SpindleSpeed, model.PathVelocity, model.FeedVelocity, model.ZVelocity}

// tell reports that a stage begins.
func (p *problem) tell(s Stage, text string) { p.report(Progress{Stage: s, Text: text}) }

// warn reports what people should know of their data.
func (p *problem) warn(format string, args ...any) {
	p.report(Progress{Stage: Prepare, Warning: fmt.Sprintf(format, args...)})
}

func (p *problem) report(at Progress) {
	if p.o.Progress == nil {
		return
	}
	at.Done, at.Of = slices.Index(stages, at.Stage), len(stages)
	if !p.o.Evidence {
		at.Of--
	}
	if p.o.Unjudged {
		at.Of--
		if at.Stage == Weigh {
			at.Done--
		}
	}
	p.o.Progress(at)
}

// inOrder puts the readings of r into the order of the outputs of h.
func inOrder(r *runs.Run, h *model.Hypotheses) error {
	var z [][]float64
	for _, out := range h.Outputs {
		k := slices.Index(r.Outputs, out.Is)
		if k < 0 {
			return fmt.Errorf("run %s has no %s, which the hypotheses need", r.Name, out.Is)
		}
		z = append(z, r.Z[k])
	}
	r.Z, r.Outputs = z, nil
	return nil
}

// prepare puts the outputs into their order, so that the first is the leading one, cuts the runs to their active rows, leaves out readings that cannot be, and finds the candidates
// that the runs have data for.
func prepare(given []runs.Run, o Options) (*problem, error) {
	h := o.Hypotheses
	if h == nil {
		h = model.DefaultHypotheses()
	}
	if err := h.Check(); err != nil {
		return nil, err
	}
	if len(given) == 0 {
		return nil, errors.New("no runs to learn from")
	}
	for _, name := range o.Inputs {
		if !slices.ContainsFunc(h.Inputs, func(in model.HypothesisInput) bool { return in.Is == name }) {
			return nil, fmt.Errorf("input %q is unknown to the hypotheses", name)
		}
	}
	var outputs []string // as the hypotheses have them
	for _, out := range h.Outputs {
		outputs = append(outputs, out.Is)
	}
	p := &problem{h: h.Ordered(), o: o, without: map[string]string{}}
	p.tell(Prepare, "making the runs ready")
	if err := p.distinct(given); err != nil {
		return nil, err
	}
	all := slices.Clone(given)
	for i := range all {
		r := &all[i]
		r.Inputs = o.Inputs
		if r.Outputs == nil {
			r.Outputs = outputs
		}
		if err := r.Check(len(r.Inputs), len(r.Outputs)); err != nil {
			return nil, err
		}
	}
	if p.spindle, p.start = learnSpindle(all); p.spindle != nil {
		p.h = p.h.Sized(p.spindle.FreeTorque / phase.DefaultContactRule.FreeTorque)
	}
	var active []*runs.Run
	for _, r := range all {
		a, err := p.active(r)
		if err != nil {
			return nil, err
		}
		active = append(active, a)
	}
	if err := p.enough(active); err != nil {
		return nil, err
	}
	lacks, assumed := p.inputsWithoutData(active)
	p.h = p.h.Assuming(assumed)
	if err := p.makeDraft(lacks); err != nil {
		return nil, err
	}
	p.plan(active[0].Inputs, lacks)
	p.prune(p.draft)
	for _, r := range active {
		c, err := r.For(p.draft)
		if err != nil {
			return nil, err
		}
		for _, in := range p.draft.Inputs {
			c.Inputs = append(c.Inputs, in.Name)
		}
		p.runs = append(p.runs, c)
	}
	return p, p.enoughForDraft()
}

// distinct refuses a recording that is given twice, and warns of runs of the same time.
func (p *problem) distinct(given []runs.Run) error {
	for i := range given {
		r := &given[i]
		for k := range given[:i] {
			switch q := &given[k]; q.Source().Same(r.Source()) {
			case model.SameContent:
				return fmt.Errorf("runs %s and %s are the same recording: it would count twice", q.Name, r.Name)
			case model.SameTime:
				p.warn("runs %s and %s are of the same time: if they are one build, it counts twice", q.Name, r.Name)
			}
		}
	}
	return nil
}

// active is r with its outputs in the order of the hypotheses, of its active part, without the
// readings that cannot be.
func (p *problem) active(r runs.Run) (*runs.Run, error) {
	if slices.ContainsFunc(p.h.Inputs, func(in model.HypothesisInput) bool { return in.Is == model.Contact }) {
		r = *r.WithContact(p.spindle) // before its outputs lose their names
	}
	if err := inOrder(&r, p.h); err != nil {
		return nil, err
	}
	var speed []float64
	if k := slices.Index(r.Inputs, model.SpindleSpeed); k >= 0 {
		speed = r.U[k]
	}
	from, to, err := runs.Active(&r, speed, 0)
	if err != nil {
		return nil, err
	}
	if why := runs.LeftOut(&r, speed, 0, from, to); why != "" {
		p.warn("run %s: %d of %d rows are learned from, %d to %d (from 0); of the others %s", r.Name, to-from, len(r.Time), from, to-1, why)
	}
	if to-from < 2 {
		return nil, fmt.Errorf("too little data: run %s has %d active row, at least 2 are needed", r.Name, to-from)
	}
	return p.possible(r.Rows(from, to)), nil
}

// enough asks for readings of the leading output, and for rows that forecasts are scored on.
func (p *problem) enough(active []*runs.Run) error {
	usable, top := 0, math.Inf(-1)
	for _, r := range active {
		for _, z := range r.Z[0] {
			if num.Finite(z) {
				usable++
			}
		}
		_, hi := num.Span(r.Z[0])
		top = max(top, hi)
	}
	leading := &p.h.Outputs[0]
	if usable < minRows {
		return fmt.Errorf("too little data: %d usable rows of %s, at least %d are needed", usable, leading.Is, minRows)
	}
	if above := leading.ScoreAbove; above != 0 && top <= above {
		return fmt.Errorf("the %s never exceeds %g %s (highest reading %.0f): nothing can be learned from a process that never gets hot", leading.Is, above, leading.Unit, top)
	}
	return nil
}

// enoughForDraft asks for rows that forecasts are judged on, for each number of the draft.
func (p *problem) enoughForDraft() error {
	hot := 0
	for _, r := range p.runs {
		for _, z := range r.Z[0] {
			if z > p.draft.Outputs[0].Above() {
				hot++
			}
		}
	}
	if free := len(system.Compile(p.draft).Free); hot < rowsEach*free {
		return fmt.Errorf("too little data: %d rows that forecasts are judged on, for %d numbers to learn; at least %d are needed: add runs, or fix parameters and forbid terms in the hypotheses", hot, free, rowsEach*free)
	}
	return nil
}

// inputsWithoutData finds the inputs that nobody measured, or that never move: a term that needs one
// is no candidate. lacks has the reason by symbol. An input with a default lacks nothing; it is
// assumed where it has no reading at all.
func (p *problem) inputsWithoutData(active []*runs.Run) (lacks map[string]string, assumed []string) {
	lacks = map[string]string{}
	for _, in := range p.h.Inputs {
		k := slices.Index(active[0].Inputs, in.Is)
		lo, hi := math.Inf(1), math.Inf(-1)
		if k >= 0 {
			for _, r := range active {
				l, h := num.Span(r.U[k])
				lo, hi = min(lo, l), max(hi, h)
			}
		}
		measured := lo <= hi
		if in.Default != nil {
			if !measured {
				assumed = append(assumed, in.Symbol)
			}
			continue
		}
		switch {
		case k < 0:
			lacks[in.Symbol] = fmt.Sprintf("input %q is needed", in.Is)
		case !measured:
			lacks[in.Symbol] = fmt.Sprintf("input %q is missing in every row", in.Is)
		case hi-lo <= 1e-6*max(math.Abs(lo), math.Abs(hi)):
			lacks[in.Symbol] = fmt.Sprintf("input %q is constant (%g to %g %s)", in.Is, lo, hi, in.Unit)
		}
	}
	return lacks, assumed
}

// makeDraft takes the terms for which nothing lacks as candidates, and remembers why the others are
// none. A required term that lacks an input is an error.
func (p *problem) makeDraft(lacks map[string]string) error {
	let := map[string]*expr.Node{}
	for _, d := range p.h.Definitions {
		let[d.Name] = expr.MustParse(d.Expression)
	}
	lack := func(t *model.HypothesisTerm) string {
		found := ""
		var look func(string)
		look = func(name string) {
			if w := lacks[name]; w != "" && found == "" {
				found = w
			}
			if n := let[name]; n != nil {
				n.Symbols(look)
			}
		}
		expr.MustParse(t.Expression).Symbols(look)
		return found
	}
	var lacking error
	p.draft = p.h.Draft(func(t *model.HypothesisTerm) bool {
		if t.Opinion == model.Forbid {
			return false
		}
		w := lack(t)
		if w == "" {
			return true
		}
		p.without[model.CandidateName(t.Of, t.Name)] = w
		if t.Opinion == model.Require && lacking == nil {
			lacking = fmt.Errorf("%s: no equation can be learned without it, for the term %q is required", w, t.Name)
		}
		return false
	})
	return lacking
}

// plan finds the inputs that stay whether a term needs them or not: those of plans and of the
// machine's own controllers, as far as they are measured.
func (p *problem) plan(measured []string, lacks map[string]string) {
	has := func(in model.HypothesisInput) bool {
		return lacks[in.Symbol] == "" && slices.Contains(measured, in.Is)
	}
	if p.h.Plan != nil {
		for _, in := range p.h.Inputs {
			if slices.Contains(ofPlans, in.Is) && has(in) {
				p.planned = append(p.planned, in.Symbol)
			}
		}
	}
	hasSymbol := func(symbol string) bool {
		return slices.ContainsFunc(p.h.Inputs, func(in model.HypothesisInput) bool { return in.Symbol == symbol && has(in) })
	}
	for _, c := range p.h.Controllers {
		if hasSymbol(c.Moves) && hasSymbol(c.Follows) {
			p.planned = append(p.planned, c.Moves, c.Follows)
		}
	}
}

// fitter makes a fitter of m over runs; masks says which rows count, nil all. Runs of which no row
// counts are left out.
func (p *problem) fitter(m *model.Model, all []*runs.Run, masks [][]bool) (*fitter, error) {
	var rs []*fitRun
	for i, r := range all {
		if masks != nil && !slices.Contains(masks[i], true) {
			continue
		}
		c, err := r.For(m)
		if err != nil {
			return nil, err
		}
		var mask []bool
		if masks != nil {
			mask = masks[i]
		}
		rs = append(rs, newFitRun(m, c, mask))
	}
	return newFitter(system.CompileForFit(m), rs), nil
}

// possible is run without the readings that cannot be.
func (p *problem) possible(run *runs.Run) *runs.Run {
	c := *run
	c.Z = slices.Clone(run.Z)
	for i, o := range p.h.Outputs {
		within, left := o.Possible, 0
		if within == nil {
			continue
		}
		c.Z[i] = slices.Clone(run.Z[i])
		for k, z := range c.Z[i] {
			if num.Finite(z) && (z < within[0] || z > within[1]) {
				c.Z[i][k] = math.NaN()
				left++
			}
		}
		if left > 0 {
			p.warn("run %s: %d readings of %s outside %g to %g %s are left out", run.Name, left, o.Is, within[0], within[1], o.Unit)
		}
	}
	return &c
}

// driven tells if a term that counts depends on an input.
func driven(m *model.Model) (yes bool) {
	let := map[string]*expr.Node{}
	for _, d := range m.Definitions {
		let[d.Name] = expr.MustParse(d.Expression)
	}
	var look func(string)
	look = func(name string) {
		yes = yes || slices.ContainsFunc(m.Inputs, func(in model.Input) bool { return in.Symbol == name })
		if n := let[name]; n != nil {
			n.Symbols(look)
		}
	}
	for _, t := range m.Terms {
		if t.Coefficient > 0 {
			expr.MustParse(t.Expression).Symbols(look)
		}
	}
	return yes
}

// prune takes out of m what neither a term nor the plan needs: states without effect on an output,
// definitions, parameters and inputs.
func (p *problem) prune(m *model.Model) {
	uses := map[string]bool{}
	let := map[string]*expr.Node{}
	for _, d := range m.Definitions {
		let[d.Name] = expr.MustParse(d.Expression)
	}
	var mark func(name string)
	mark = func(name string) {
		if uses[name] {
			return
		}
		uses[name] = true
		if n := let[name]; n != nil {
			n.Symbols(mark)
		}
		for _, t := range m.Terms {
			if t.State == name {
				expr.MustParse(t.Expression).Symbols(mark)
			}
		}
		if i := m.StateIndex(name); i >= 0 {
			expr.MustParse(m.States[i].Start).Symbols(mark)
		}
	}
	for _, o := range m.Outputs {
		mark(o.State)
	}
	for _, symbol := range p.planned {
		mark(symbol)
	}
	if m.DeadTime != "" {
		mark(m.DeadTime)
	}
	m.Terms = slices.DeleteFunc(slices.Clone(m.Terms), func(t model.Term) bool { return !uses[t.State] })
	m.States = slices.DeleteFunc(slices.Clone(m.States), func(s model.State) bool { return !uses[s.Symbol] })
	m.Definitions = slices.DeleteFunc(slices.Clone(m.Definitions), func(d model.Definition) bool { return !uses[d.Name] })
	m.Parameters = slices.DeleteFunc(slices.Clone(m.Parameters), func(p model.Parameter) bool { return !uses[p.Name] })
	m.Inputs = slices.DeleteFunc(slices.Clone(m.Inputs), func(in model.Input) bool { return !uses[in.Symbol] })
}
