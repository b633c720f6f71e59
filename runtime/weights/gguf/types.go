package gguf

import "github.com/ledge-run/ledge/graph/dtype"

const magic = "GGUF"

// The type ids of metadata values.
const (
	typeUint8 uint32 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// minSize is the least number of bytes a value of the type takes: for all but
// strings and arrays its size. 0 for unknown types.
func minSize(t uint32) int {
	switch t {
	case typeUint8, typeInt8, typeBool:
		return 1
	case typeUint16, typeInt16:
		return 2
	case typeUint32, typeInt32, typeFloat32:
		return 4
	case typeUint64, typeInt64, typeFloat64, typeString:
		return 8
	case typeArray:
		return 12
	}
	return 0
}

// dtypes maps the tensor type ids of files (ggml_type) to element types. Gaps
// are types that ggml has removed.
var dtypes = [...]dtype.DType{
	0: dtype.F32, 1: dtype.F16, 2: dtype.Q4_0, 3: dtype.Q4_1,
	6: dtype.Q5_0, 7: dtype.Q5_1, 8: dtype.Q8_0, 9: dtype.Q8_1,
	10: dtype.Q2_K, 11: dtype.Q3_K, 12: dtype.Q4_K, 13: dtype.Q5_K, 14: dtype.Q6_K, 15: dtype.Q8_K,
	16: dtype.IQ2_XXS, 17: dtype.IQ2_XS, 18: dtype.IQ3_XXS, 19: dtype.IQ1_S, 20: dtype.IQ4_NL,
	21: dtype.IQ3_S, 22: dtype.IQ2_S, 23: dtype.IQ4_XS,
	24: dtype.I8, 25: dtype.I16, 26: dtype.I32, 27: dtype.I64, 28: dtype.F64,
	29: dtype.IQ1_M, 30: dtype.BF16, 34: dtype.TQ1_0, 35: dtype.TQ2_0,
	39: dtype.MXFP4, 40: dtype.NVFP4, 41: dtype.Q1_0, 42: dtype.Q2_0,
}

// typeIDs is the inverse of dtypes.
var typeIDs = func() map[dtype.DType]uint32 {
	ids := make(map[dtype.DType]uint32, len(dtypes))
	for id, d := range dtypes {
		if d != dtype.Invalid {
			ids[d] = uint32(id)
		}
	}
	return ids
}()

// DTypeOf is the element type of a tensor type id of a file.
func DTypeOf(id uint32) (d dtype.DType, ok bool) {
	if id >= uint32(len(dtypes)) || dtypes[id] == dtype.Invalid {
		return dtype.Invalid, false
	}
	return dtypes[id], true
}

// TypeID is the inverse of DTypeOf.
func TypeID(d dtype.DType) (id uint32, ok bool) {
	id, ok = typeIDs[d]
	return id, ok
}
