// The part of Preact that the dashboard uses (hand-written: the full types are larger than the library).
export interface VNode { type: unknown; props: any; key: unknown }
export type Child = VNode | string | number | boolean | null | undefined | Child[];
export function h(type: any, props: any, ...children: any[]): VNode;
export function render(vnode: Child, parent: Element): void;
export const Fragment: (props: { children?: Child }) => VNode;
