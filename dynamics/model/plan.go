package model

import (
	"fmt"
	"math"

	"stirwatch/dynamics/num"
	"stirwatch/sensors/unit"
)

// Plan says how the spindle's speed and power move by themselves when only path, feed and stops are
// known: the machine's own controller turns the speed, and the power follows a working point.
type Plan struct {
	// The controller: d(speed)/dt = −RateGain·dT/dt − ErrorGain·(T − set-point), within Min and Max;
	// at most Slew either way. With the set-point at 0 the spindle stops.
	RateGain  float64 `json:"rate_gain_rpm_per_K"`
	ErrorGain float64 `json:"error_gain_rpm_per_s_K"`
	Min       float64 `json:"min_rpm"`
	Max       float64 `json:"max_rpm"`
	Slew      float64 `json:"slew_rpm_per_s"`

	// The working point: the power in contact is Power[0] + Power[1]·speed (W, rpm) and an offset. The
	// offset is how far the power has been from there, averaged over Smooth (s), and it stays; what the
	// present power differs from that average decays ahead with Ripple (s).
	Power  [2]float64 `json:"power_W"`
	Smooth float64    `json:"power_smooth_s"`
	Ripple float64    `json:"power_ripple_s"`
	// Softening is the share of the power in contact that goes with every K that the tool warms in a forecast.
	Softening float64 `json:"power_softening_per_K,omitempty"`
	// Idle is the power in contact while nothing is fed, W per rpm; 0: the runs do not show it. The power
	// goes there, and back, with FeedTime.
	Idle float64 `json:"power_idle_W_per_rpm,omitempty"`
	// Fed is the share of the power beyond Idle (where that is not known, beyond Free) that is proportional to the feed, 0 to
	// 1: at twice UsualFeed (mm/min, the median) it is 1 + Fed times what it is there. 0: the runs do not show that any is.
	Fed       float64 `json:"power_feed_share,omitempty"`
	UsualFeed float64 `json:"usual_feed_mm_per_min,omitempty"`
	// Free is the power of a spindle that turns without contact, W per rpm. Contact ends when the
	// tool moves up.
	Free float64 `json:"power_free_W_per_rpm"`
	Rows int     `json:"rows"` // that the power was learned from

	// Reload is for how long the feed rests when the next bar is put in, s; 0: nothing is known of reloads.
	Reload float64 `json:"reload_s,omitempty"`
	// Stops is how often a build stopped or rested that had gone on for [SettlesIn], and Settled for how long such
	// builds went on, s, in the runs learned from.
	Stops   int     `json:"stops,omitempty"`
	Settled float64 `json:"settled_s,omitempty"`
}

// HypothesisPlan asks for a [Plan].
type HypothesisPlan struct {
	Controller string `yaml:"controller"` // spindle: the only kind

	// What holds where the runs do not show it; 0: nothing is known, and then there is no plan.
	RateGain  float64 `yaml:"rate_gain,omitempty"`  // rpm/K
	ErrorGain float64 `yaml:"error_gain,omitempty"` // rpm/(s K)
	Min       float64 `yaml:"min,omitempty"`        // rpm
	Max       float64 `yaml:"max,omitempty"`        // rpm
	Slew      float64 `yaml:"slew,omitempty"`       // rpm/s
	Free      float64 `yaml:"free,omitempty"`       // W per rpm
	Reload    float64 `yaml:"reload,omitempty"`     // s

	// What holds where it is given; 0: it is chosen by how well the plan forecasts the runs.
	Slope     float64 `yaml:"slope,omitempty"`     // W per rpm
	Smooth    float64 `yaml:"smooth,omitempty"`    // s
	Ripple    float64 `yaml:"ripple,omitempty"`    // s
	Softening float64 `yaml:"softening,omitempty"` // 1/K
}

func (p *Plan) check(m *Model, of func(string) (unit.Dimension, bool)) []error {
	var errs []error
	if m.InputIndex(SpindleSpeed) < 0 || m.InputIndex(SpindlePower) < 0 {
		errs = append(errs, fmt.Errorf("plan: the model has no %s or no %s to plan", SpindleSpeed, SpindlePower))
	}
	if !num.Finite(append(p.Power[:], p.RateGain, p.ErrorGain, p.Min, p.Max, p.Slew, p.Smooth, p.Ripple, p.Free, p.Idle, p.Fed, p.UsualFeed, p.Softening, p.Reload, p.Settled)...) || min(p.Smooth, p.Free, p.Idle, p.Fed, p.UsualFeed, p.Softening, p.Reload, p.Settled, float64(p.Stops)) < 0 || p.Fed > 1 || p.Ripple <= 0 || p.Min > p.Max || p.Slew <= 0 || p.ErrorGain < 0 || p.RateGain < 0 {
		errs = append(errs, fmt.Errorf("plan: gains must not be negative, slew and ripple positive, the share that goes with the feed not above 1, %g to %g rpm a range", p.Min, p.Max))
	}
	if p.Fed > 0 && p.UsualFeed == 0 {
		errs = append(errs, fmt.Errorf("plan: a share of %g goes with the feed, and no usual feed says with what", p.Fed))
	}
	return errs
}

// When the feed acts on the power.
const (
	FeedsFrom = 1.0 // mm/min from which material is fed
	FeedTime  = 8.0 // s, time constant of the power after the feed starts or stops
)

// SettlesIn is for how long a build has deposited, s, before it is taken to have come to stay: most starts that are
// broken off are so before.
const SettlesIn = 120.0

// What is believed of stops before any run is known: one in half an hour.
const (
	stopsAtFirst   = 1.0
	settledAtFirst = 1800.0 // s
)

// MayStop is the probability that a build that has settled stops or rests within some seconds: of a steady rate with a
// gamma prior.
func (p *Plan) MayStop(seconds float64) float64 {
	return -math.Expm1(-seconds * (stopsAtFirst + float64(p.Stops)) / (settledAtFirst + p.Settled))
}

// PowerAt is the power (W) in contact at a speed (rpm), where the part of it beyond pressing is fed times what it is at the usual feed.
func (p *Plan) PowerAt(speed, fed float64) float64 {
	idle := p.Idle * speed
	if p.Idle == 0 {
		idle = p.Free * speed
	}
	return idle + fed*(p.WorkingPower(speed)-idle)
}

// FedAt is what [Plan.PowerAt] takes as fed while the feed (mm/min) stays: 1 at the usual one, 0 where nothing is fed and it is known what
// pressing takes then.
func (p *Plan) FedAt(feed float64) float64 {
	switch fed := feed >= FeedsFrom; {
	case !fed && p.Idle > 0:
		return 0
	case !fed || p.UsualFeed == 0:
		return 1
	}
	return 1 + p.Fed*(min(max(feed/p.UsualFeed, leastFed), mostFed)-1)
}

// Between so many times the usual feed the power is proportional to it; what is beyond is taken for these.
const (
	leastFed = 1.0 / 3
	mostFed  = 3.0
)

// WorkingPower is the power (W) in contact at a speed (rpm) while material is fed as usual.
func (p *Plan) WorkingPower(speed float64) float64 {
	return p.Power[0] + p.Power[1]*speed
}
