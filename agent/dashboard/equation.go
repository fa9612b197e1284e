package dashboard

import (
	"errors"
	"net/http"

	"stirwatch/agent/api"
	"stirwatch/dynamics/model"
)

// Equation is the model that forecasts, for people.
type Equation struct {
	Name       string            `json:"name"` // of its file
	Text       string            `json:"text"`
	LaTeX      string            `json:"latex"`
	MathML     string            `json:"mathml"`
	Inputs     []model.Input     `json:"inputs"` // with their training ranges
	Outputs    []model.Output    `json:"outputs"`
	Leading    int               `json:"leading"` // place of the leading output
	Terms      []model.Term      `json:"terms"`
	Parameters []model.Parameter `json:"parameters"`
	Provenance model.Provenance  `json:"provenance"`
	Skill      []model.Skill     `json:"skill"`
	NotJudged  []model.NotJudged `json:"not_judged"`
}

// modelName is that of the model in use, "" where there is none.
func (s *Server) modelName() string {
	_, name := s.Models.Current()
	return name
}

// answerModel is GET /model.
func (s *Server) answerModel(w http.ResponseWriter, _ *http.Request) {
	m, name := s.Models.Current()
	if m == nil {
		api.Fail(w, http.StatusNotFound, errors.New("there is no model in use"))
		return
	}
	api.Write(w, equationOf(m, name))
}

// answerModelNamed is GET /models/{model}.
func (s *Server) answerModelNamed(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("model")
	m, err := s.Models.Model(name)
	if err != nil {
		api.Fail(w, http.StatusNotFound, err)
		return
	}
	api.Write(w, equationOf(m, name))
}

func equationOf(m *model.Model, name string) Equation {
	return Equation{
		Name: name, Text: model.Equation(m), LaTeX: model.LaTeX(m), MathML: model.MathML(m), Inputs: nonNil(m.Inputs), Outputs: nonNil(m.Outputs), Leading: m.LeadingIndex(),
		Terms: nonNil(m.Terms), Parameters: nonNil(m.Parameters), Provenance: m.Provenance, Skill: nonNil(m.Skill), NotJudged: nonNil(m.NotJudged),
	}
}
