// The chart library is a script of its own, without types here.
declare const LightweightCharts: any;
