#include "textflag.h"

// func pause(n uint32)
// ISB, because YIELD does nothing on most cores.
TEXT ·pause(SB), NOSPLIT, $0-4
	MOVWU n+0(FP), R0

again:
	ISB  $15
	SUBW $1, R0
	CBNZW R0, again
	RET

// func ticks() uint64
TEXT ·ticks(SB), NOSPLIT, $0-8
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET

// func ticksPerSecond() uint64
TEXT ·ticksPerSecond(SB), NOSPLIT, $0-8
	MRS  CNTFRQ_EL0, R0
	MOVD R0, ret+0(FP)
	RET
