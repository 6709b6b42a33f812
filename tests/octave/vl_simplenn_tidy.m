function net = vl_simplenn_tidy(net)
% Stands for MatConvNet's: names the layers.
  for i = 1:numel(net.layers), net.layers{i}.name = sprintf('layer%d', i); end
