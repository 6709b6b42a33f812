function dump = dagnet_dump(net, inputs, derOutputs, file, mode)
% DAGNET_DUMP  Evaluate a network and save all it computes, for `dagnet parity net.mat FILE`.
%   DAGNET_DUMP(net, {'input', x, 'label', c}, {'objective', 1}, 'dump.mat')    a dagnn.DagNN
%   DAGNET_DUMP(net, x, 1, 'dump.mat')        a SimpleNN; labels stand in net.layers{end}.class
%   derOutputs [] dumps a forward pass alone. mode is 'normal' or 'test'; without it the net's own, 'normal' for a SimpleNN.
  if isstruct(net), if nargin < 5, mode = 'normal'; end
    net = vl_simplenn_tidy(net);
    res = vl_simplenn(net, inputs, derOutputs, [], 'Mode', mode, 'ConserveMemory', false);
    if ~isempty(derOutputs), derOutputs = {sprintf('x%d', numel(net.layers)), derOutputs}; end
    inputs = {'x0', inputs}; vars = struct('name', {}, 'value', {}, 'der', {}); params = struct('name', {}, 'der', {});
    for i = 1:numel(res)
      vars(i) = struct('name', sprintf('x%d', i - 1), 'value', home(res(i).x), 'der', home(res(i).dzdx));
      if i > numel(net.layers), break; end
      letters = 'fb'; if strcmp(net.layers{i}.type, 'bnorm'), letters = 'mbx'; end
      for j = 1:min(numel(res(i).dzdw), numel(letters))
        params(end + 1) = struct('name', [net.layers{i}.name letters(j)], 'der', home(res(i).dzdw{j}));
      end
      if isfield(net.layers{i}, 'class'), inputs(end + 1 : end + 2) = {'label', home(net.layers{i}.class)}; end
    end
  else
    kept = {net.mode, net.conserveMemory, net.accumulateParamDers};
    if nargin >= 5, net.mode = mode; end
    mode = net.mode; net.conserveMemory = false; net.accumulateParamDers = false;
    if isempty(derOutputs), net.eval(inputs); else, net.eval(inputs, derOutputs); end
    net.mode = kept{1}; net.conserveMemory = kept{2}; net.accumulateParamDers = kept{3};
    name = {net.vars.name}; value = cellfun(@home, {net.vars.value}, 'UniformOutput', false);
    vars = struct('name', name, 'value', value, 'der', cellfun(@home, {net.vars.der}, 'UniformOutput', false));
    params = struct('name', {net.params.name}, 'der', cellfun(@home, {net.params.der}, 'UniformOutput', false));
  end
  if isempty(derOutputs), derOutputs = {}; end
  inputs(2:2:end) = cellfun(@home, inputs(2:2:end), 'UniformOutput', false);
  derOutputs(2:2:end) = cellfun(@home, derOutputs(2:2:end), 'UniformOutput', false);
  dump = struct('mode', mode, 'inputs', {inputs}, 'derOutputs', {derOutputs}, 'vars', vars, 'params', params);
  format = '-v7'; bytes = whos('dump'); if bytes.bytes >= 2^31, format = '-v7.3'; end
  save(file, 'dump', format);
function x = home(x)
  if isa(x, 'gpuArray'), x = gather(x); end
