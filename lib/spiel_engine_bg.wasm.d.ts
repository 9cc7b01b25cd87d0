/* tslint:disable */
/* eslint-disable */
export const memory: WebAssembly.Memory;
export const __wbg_wasmengine_free: (a: number, b: number) => void;
export const __wbg_wasmreply_free: (a: number, b: number) => void;
export const takeFailure: (a: number) => void;
export const version: (a: number) => void;
export const wasmengine_new: () => number;
export const wasmengine_poll: (a: number) => number;
export const wasmengine_start: (a: number, b: number, c: number, d: number, e: number) => number;
export const wasmengine_woken: (a: number) => any;
export const wasmreply_header: (a: number, b: number) => void;
export const wasmreply_takePayload: (a: number, b: number) => void;
export const __wasm_bindgen_func_elem_3466: (a: number, b: number, c: number, d: any) => void;
export const __wasm_bindgen_func_elem_3471: (a: number, b: number, c: any, d: any) => void;
export const __wasm_bindgen_func_elem_1745: (a: number, b: number, c: any) => void;
export const __wasm_bindgen_func_elem_1745_11: (a: number, b: number, c: any) => void;
export const __wbindgen_export: (a: number, b: number) => number;
export const __wbindgen_export2: (a: number, b: number, c: number, d: number) => number;
export const __wbindgen_export3: (a: number, b: number, c: number) => void;
export const __wbindgen_export4: (a: number) => void;
export const __wbindgen_export5: () => number;
export const __wbindgen_externrefs: WebAssembly.Table;
export const __wbindgen_export6: (a: number, b: number) => void;
export const __wbindgen_add_to_stack_pointer: (a: number) => number;
export const __wbindgen_export7: (a: number) => void;
export const __wbindgen_start: () => void;
