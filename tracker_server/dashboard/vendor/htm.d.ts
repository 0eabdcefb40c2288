import type { VNode } from './preact.js';
declare const htm: {
  bind(h: (type: any, props: any, ...children: any[]) => VNode): (strings: TemplateStringsArray, ...values: any[]) => any;
};
export default htm;
