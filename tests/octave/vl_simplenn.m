function res = vl_simplenn(net, x, dzdy, res, varargin)
% Stands for MatConvNet's, of a conv layer of one 1x1 filter and a sigmoid. Without ConserveMemory false, res(2) is emptied.
  opts = struct(varargin{:});
  f = net.layers{1}.weights{1}; b = net.layers{1}.weights{2};
  res = struct('x', {x, f * x + b, []}, 'dzdx', [], 'dzdw', []);
  y = 1 ./ (1 + exp(-res(2).x)); res(3).x = y;
  if ~isempty(dzdy)
    d = dzdy .* y .* (1 - y);
    res(3).dzdx = dzdy; res(2).dzdx = d; res(1).dzdx = f * d;
    res(1).dzdw = {sum(d(:) .* x(:)), sum(d(:))};
  end
  if ~isfield(opts, 'ConserveMemory') || opts.ConserveMemory, res(2).x = []; res(2).dzdx = []; end
