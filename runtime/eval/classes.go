package eval

import (
	"fmt"
	"slices"
)

// Average are precision, recall and F1 over several classes.
type Average struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Class are the figures of one class.
type Class struct {
	Label string `json:"label"`
	Average
	Support int `json:"support"` // items that are of it
}

// Classification is how well labels were predicted. The definitions are
// scikit-learn's (precision_recall_fscore_support with zero_division=0): with tp, fp
// and fn of a class, precision tp/(tp+fp), recall tp/(tp+fn), F1
// 2tp/(2tp+fp+fn), and 0 where nothing is divided. Micro sums tp, fp and fn over
// the classes, macro is the mean of the classes, weighted the mean by support.
type Classification struct {
	Accuracy  float64  `json:"accuracy"`
	Micro     Average  `json:"micro"`
	Macro     Average  `json:"macro"`
	Weighted  Average  `json:"weighted"`
	Classes   []Class  `json:"classes"`
	Confusion [][]int  `json:"confusion"` // [is][predicted], in the order of Labels
	Labels    []string `json:"labels"`
	Items     int      `json:"items"`
}

// ratio is a/b, 0 if nothing is divided.
func ratio[T int | float64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func averageOf(tp, predicted, is int) Average {
	return Average{ratio(tp, predicted), ratio(tp, is), ratio(2*tp, predicted+is)}
}

// Classify compares predictions with what is right. labels are the classes that
// are reported and averaged; nil are all that occur on either side, in order.
// Other labels count for accuracy, and against the recall and precision of those
// they were taken for, as scikit-learn's parameter labels has it.
func Classify(is, predicted, labels []string) (Classification, error) {
	if len(is) != len(predicted) {
		return Classification{}, fmt.Errorf("eval: %d labels and %d predictions", len(is), len(predicted))
	}
	all := slices.Concat(is, predicted)
	slices.Sort(all)
	all = slices.Compact(all)
	if labels == nil {
		labels = all
	}
	all = append(slices.Clone(labels), without(all, labels)...)
	c := Classification{Labels: all, Items: len(is), Classes: []Class{}}
	at := map[string]int{}
	for i, l := range all {
		at[l] = i
	}
	c.Confusion = make([][]int, len(all))
	for i := range c.Confusion {
		c.Confusion[i] = make([]int, len(all))
	}
	right := 0
	for i := range is {
		c.Confusion[at[is[i]]][at[predicted[i]]]++
		if is[i] == predicted[i] {
			right++
		}
	}
	c.Accuracy = ratio(right, len(is))
	c.average(labels)
	return c, nil
}

func without(list, some []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(l string) bool { return slices.Contains(some, l) })
}

// average fills in the figures of the classes and over them.
func (c *Classification) average(labels []string) {
	var tp, predicted, is int
	for i, label := range labels {
		var col, row int
		for j := range c.Confusion {
			col, row = col+c.Confusion[j][i], row+c.Confusion[i][j]
		}
		hit := c.Confusion[i][i]
		k := Class{label, averageOf(hit, col, row), row}
		c.Classes = append(c.Classes, k)
		tp, predicted, is = tp+hit, predicted+col, is+row
		for _, a := range []struct {
			to     *Average
			weight float64
		}{{&c.Macro, 1}, {&c.Weighted, float64(row)}} {
			a.to.Precision += k.Precision * a.weight
			a.to.Recall += k.Recall * a.weight
			a.to.F1 += k.F1 * a.weight
		}
	}
	c.Micro = averageOf(tp, predicted, is)
	for _, a := range []struct {
		of *Average
		by float64
	}{{&c.Macro, float64(len(labels))}, {&c.Weighted, float64(is)}} {
		a.of.Precision, a.of.Recall, a.of.F1 = ratio(a.of.Precision, a.by), ratio(a.of.Recall, a.by), ratio(a.of.F1, a.by)
	}
}
