classdef MockNet < handle
% MOCKNET  What dagnet_dump.m needs of a dagnn.DagNN, around  x1 = f * x + b,  y = 1 / (1 + exp(-x1)).
  properties
    mode = 'normal'
    conserveMemory = true
    accumulateParamDers = true  % as cnn_train_dag leaves it after sub-batches
    vars = struct('name', {'x', 'x1', 'y'}, 'value', [], 'der', [])
    params = struct('name', {'convf', 'convb'}, 'value', {single(2), single(-0.5)}, 'der', single(9))
  end
  methods
    function eval(net, inputs, derOutputs)
      x = inputs{2};
      x1 = net.params(1).value * x + net.params(2).value;
      y = 1 ./ (1 + exp(-x1));
      net.vars(1).value = x; net.vars(2).value = x1; net.vars(3).value = y;
      if nargin > 2
        dy = derOutputs{2};
        d = dy .* y .* (1 - y);
        net.vars(1).der = net.params(1).value * d; net.vars(2).der = d; net.vars(3).der = dy;
        df = sum(d(:) .* x(:)); db = sum(d(:));
        if net.accumulateParamDers, df = net.params(1).der + df; db = net.params(2).der + db; end
        net.params(1).der = df; net.params(2).der = db;
      end
      if net.conserveMemory, net.vars(2).value = []; net.vars(2).der = []; end
    end
  end
end
