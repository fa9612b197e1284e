package qp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// random is a problem of n unknowns and m constraints, met by some point unless clash is set.
func random(r *rand.Rand, n, m int, clash bool) *Problem {
	p := &Problem{N: n, M: m, H: make([]float64, n*n), G: make([]float64, n), A: make([]float64, m*n), B: make([]float64, m)}
	root := make([]float64, n*n)
	for i := range root {
		root[i] = r.NormFloat64()
	}
	for i := range n {
		for j := range n {
			for k := range n {
				p.H[i*n+j] += root[i*n+k] * root[j*n+k]
			}
		}
		p.H[i*n+i] += 0.01 + r.Float64()
		p.G[i] = 3 * r.NormFloat64()
	}
	inside := make([]float64, n)
	for i := range inside {
		inside[i] = r.NormFloat64()
	}
	for j := range m {
		for i := range n {
			if p.A[j*n+i] = r.NormFloat64(); r.IntN(3) == 0 {
				p.A[j*n+i] = 0
			}
		}
		p.B[j] = dot(p.A[j*n:(j+1)*n], inside) - r.ExpFloat64()*float64(r.IntN(3))
	}
	if clash { // a·x ≥ 1 and −a·x ≥ 1
		for i := range n {
			p.A[i], p.A[n+i] = float64(i+1), -float64(i+1)
		}
		p.B[0], p.B[1] = 1, 1
	}
	return p
}

// kkt tells by how much the conditions of Karush, Kuhn and Tucker are missed: for a convex problem they
// are met by the solution alone. Sums are measured by the largest multiplier in them.
func kkt(p *Problem, x, lambda []float64) (miss float64) {
	for i := range p.N {
		sum, size := p.G[i]+dot(p.H[i*p.N:(i+1)*p.N], x), 1.0
		for j := range p.M {
			sum -= lambda[j] * p.A[j*p.N+i]
			size = max(size, lambda[j])
		}
		miss = max(miss, math.Abs(sum)/size)
	}
	for j := range p.M {
		gap := dot(p.A[j*p.N:(j+1)*p.N], x) - p.B[j]
		miss = max(miss, -gap, -lambda[j], math.Abs(lambda[j]*gap)/max(1, lambda[j]))
	}
	return miss
}

func TestSolutionsMeetTheConditionsOfOptimality(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := NewSolver(12, 100)
	steps := 0
	for k := range 20000 {
		n, m := 1+r.IntN(12), r.IntN(100)
		p := random(r, n, m, false)
		x := make([]float64, n)
		if got := s.Solve(x, p); got != Solved {
			t.Fatalf("problem %d of %d unknowns and %d constraints: %v after %d steps", k, n, m, got, s.Steps)
		}
		if miss := kkt(p, x, s.Lambda[:m]); miss > 1e-6 {
			t.Fatalf("problem %d of %d unknowns and %d constraints: the conditions are missed by %g", k, n, m, miss)
		}
		steps = max(steps, s.Steps)
	}
	t.Logf("most steps: %d", steps)
}

// The least cost over every set of constraints that might hold with equality is the solution.
func TestBruteForceFindsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := NewSolver(3, 8)
	for range 2000 {
		p := random(r, 1+r.IntN(3), 1+r.IntN(8), false)
		x := make([]float64, p.N)
		if got := s.Solve(x, p); got != Solved {
			t.Fatal(got)
		}
		best := math.Inf(1)
		for set := range 1 << p.M {
			if y := equal(p, set); y != nil && feasible(p, y) {
				best = min(best, cost(p, y))
			}
		}
		if math.Abs(best-cost(p, x)) > 1e-7*(1+math.Abs(best)) {
			t.Fatalf("cost %.9g, by brute force %.9g", cost(p, x), best)
		}
	}
}

func cost(p *Problem, x []float64) (c float64) {
	for i := range x {
		c += p.G[i]*x[i] + 0.5*x[i]*dot(p.H[i*p.N:(i+1)*p.N], x)
	}
	return c
}

func feasible(p *Problem, x []float64) bool {
	for j := range p.M {
		if dot(p.A[j*p.N:(j+1)*p.N], x) < p.B[j]-1e-8 {
			return false
		}
	}
	return true
}

// equal is the minimum with the constraints of a set as equations, by Gauss's elimination of the whole
// system; nil where that is singular.
func equal(p *Problem, set int) []float64 {
	var rows []int
	for j := range p.M {
		if set>>j&1 == 1 {
			rows = append(rows, j)
		}
	}
	n, q := p.N, len(rows)
	if q > n {
		return nil
	}
	size := n + q
	a := make([][]float64, size)
	for i := range a {
		a[i] = make([]float64, size+1)
	}
	for i := range n {
		copy(a[i], p.H[i*n:(i+1)*n])
		a[i][size] = -p.G[i]
		for k, j := range rows {
			a[i][n+k], a[n+k][i] = -p.A[j*n+i], p.A[j*n+i]
		}
	}
	for k, j := range rows {
		a[n+k][size] = p.B[j]
	}
	for c := range size {
		pivot := c
		for i := c; i < size; i++ {
			if math.Abs(a[i][c]) > math.Abs(a[pivot][c]) {
				pivot = i
			}
		}
		if math.Abs(a[pivot][c]) < 1e-10 {
			return nil
		}
		a[c], a[pivot] = a[pivot], a[c]
		for i := range size {
			if f := a[i][c] / a[c][c]; i != c && f != 0 {
				for k := c; k <= size; k++ {
					a[i][k] -= f * a[c][k]
				}
			}
		}
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = a[i][size] / a[i][i]
	}
	return x
}

func TestClashesAndFaultsAreTold(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := NewSolver(6, 20)
	for range 500 {
		n := 1 + r.IntN(6)
		p := random(r, n, 2+r.IntN(18), true)
		if got := s.Solve(make([]float64, n), p); got != Infeasible {
			t.Fatalf("%v, want %v", got, Infeasible)
		}
	}
	if got := s.Solve([]float64{0}, &Problem{N: 1, H: []float64{-1}, G: []float64{1}}); got != Stopped {
		t.Errorf("a concave problem is %v", got)
	}
	if got := s.Solve([]float64{0}, &Problem{N: 1, M: 1, H: []float64{1}, G: []float64{1}, A: []float64{0}, B: []float64{1}}); got != Infeasible {
		t.Errorf("0 ≥ 1 is %v", got)
	}
}

// 1 ms a tick is the budget of a whole controller; this is a part of it.
func BenchmarkSolve(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	p := random(r, 10, 60, false)
	s, x := NewSolver(10, 60), make([]float64, 10)
	b.ReportAllocs()
	for b.Loop() {
		s.Solve(x, p)
	}
}

func TestSolvingDoesNotAllocate(t *testing.T) {
	p := random(rand.New(rand.NewPCG(7, 8)), 10, 60, false)
	s, x := NewSolver(10, 60), make([]float64, 10)
	if n := testing.AllocsPerRun(100, func() { s.Solve(x, p) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
