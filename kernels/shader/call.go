package shader

// Features are what a device can do beyond the specifications' minimum; kernels
// have variants for them. Each can be switched off.
type Features struct {
	Subgroup    int  // size of a subgroup with shuffles; 0 for none
	Half        bool // arithmetic in float16
	IntDot      bool // dot products of four int8
	CoopMatrix  bool // cooperative matrices; no kernel has a variant for them
	Tensor      bool // CUDA's mma.m16n8k16: matrices lie in the tensor layouts, and package cuda's own kernels run
	TensorBasic bool // with Tensor, CUDA's GPUs before 8.0, which do its mma in other instructions: for them there are few variants of kernels
	Invocations int  // of a workgroup, at least 128
	Shared      int  // bytes of shared memory of a workgroup, at least 16 KiB
	SharedMost  int  // of CUDA, for kernels that ask for more; 0 is 96 KiB
	Processors  int  // of CUDA, that run workgroups beside each other; 0 if it is not known
}

// Role says what a call binds to one of its kernel's four buffers.
type Role uint8

const (
	None    Role = iota
	Weights      // a bank of matrices: Call.Bank
	Vectors      // float32 vectors of the model: norms, biases
	Arena        // values of the run, float32
	Run          // the run's sizes, indices and tables: see Sizes
	Keys         // a layer's keys: Call.Layer
	Values       // a layer's values
	Out          // what is read back
)

// Call is one use of a kernel.
type Call struct {
	Kernel    string
	Constants []uint32 // by number; the first is the workgroup's size
	Buffers   [4]Role
	Bank      int      // of Weights
	Layer     int      // of Keys and Values
	Params    []uint32 // at most 32

	// Grid gives the number of workgroups for a run; a zero skips the call.
	Grid func(s Sizes) [3]uint32

	// Traffic is the bytes the call reads and writes in a run, each once, and
	// Streamed those of them that are weights or cache.
	Traffic, Streamed func(s Sizes) int64

	// Free: the call reads and writes nothing that the call before it writes,
	// and may run beside it.
	Free bool
}

// Sizes of a run, as the host knows them.
type Sizes struct {
	T, R, S, P int // as package dtype has them
	Longest    int // slots of the longest sequence: the last row's position + 1, at most
	Cached     int // sum over the rows of the slots each may see
	Segments   int // with rows in them; of a sequence there may be several
}

// The first uints of the buffer Run.
const (
	RunT       = 0  // rows
	RunR       = 1  // rows read out
	RunS       = 2  // sequences
	RunP       = 3  // pages of the longest sequence
	RunLongest = 4  // as Sizes.Longest
	RunHeader  = 16 // uints before the tables
)

// RowInfo is the uints that a row of the batch has in the row table: its slot in
// its sequence, where (in uints) its sequence's page table begins, the last slot
// that its segment writes, and the number of its segment among those with rows.
const RowInfo = 4

// PageTokens is the number of tokens of a cache page.
const PageTokens = 64
